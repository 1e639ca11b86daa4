"""Exchange with other programs: uploads, likenesses, stems, callbacks, object storage (contracts C, D and E)."""
