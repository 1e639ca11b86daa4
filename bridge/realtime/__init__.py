"""Push: numbered events over Socket.IO."""
