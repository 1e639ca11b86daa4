/* How fast this machine's cores read memory: each thread sums its own part of a buffer on huge pages.
   A decoder reads all of its weights for every step, so this is the wall that it can come near, and not pass. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

typedef uint64_t Vector __attribute__((vector_size(64)));
enum { LANES = 8, MOST_THREADS = 64 };

typedef struct {
    const Vector *from;
    size_t count;
    uint64_t sum;
} Part;

static void *read_part(void *given)
{
    Part *part = given;
    Vector sums[LANES] = {{0}};
    for (size_t at = 0; at + LANES <= part->count; at += LANES)
        for (int lane = 0; lane < LANES; lane++)
            sums[lane] += part->from[at + lane];
    for (int lane = 0; lane < LANES; lane++)
        part->sum += sums[lane][0];
    return NULL;
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + 1e-9 * time.tv_nsec;
}

/* Returns a buffer of `bytes` on huge pages, touched, or NULL. */
void *bandwidth_buffer(size_t bytes)
{
    size_t huge = (size_t)1 << 21;
    char *buffer = mmap(NULL, bytes + huge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (buffer == MAP_FAILED)
        return NULL;
    buffer = (char *)(((uintptr_t)buffer + huge - 1) / huge * huge);
    madvise(buffer, bytes, MADV_HUGEPAGE);
    for (size_t at = 0; at < bytes; at += 4096)
        buffer[at] = 1;
    return buffer;
}

/* Reads the buffer once with `threads` threads; returns seconds. */
double bandwidth_seconds(const void *buffer, size_t bytes, int threads)
{
    pthread_t handles[MOST_THREADS];
    Part parts[MOST_THREADS];
    if (threads > MOST_THREADS)
        threads = MOST_THREADS;
    size_t each = bytes / threads / sizeof(Vector) / LANES * LANES;
    double began = now();
    for (int i = 0; i < threads; i++) {
        parts[i] = (Part){(const Vector *)buffer + i * each, each, 0};
        pthread_create(&handles[i], NULL, read_part, &parts[i]);
    }
    for (int i = 0; i < threads; i++)
        pthread_join(handles[i], NULL);
    return now() - began;
}
