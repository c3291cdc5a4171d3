/* Ceilings of the hardware, measured without the stack under test.
 *
 *   roofline --threads N [--only NAME[,NAME...]] [--file PATH] [--folder PATH]
 *
 * prints one JSON object, {"<name>": {"value": <best of several>, "unit": "..."}}:
 *
 *   peak_fp32, peak_fp64  GFLOP/s  register-resident fused multiply-add on N threads
 *   peak_bf16             GFLOP/s  bfloat16 products summed in float32 on N threads: AMX tiles, else
 *                                  the better of AVX512_BF16 and, after conversion, peak_fp32
 *   triad                 GB/s     STREAM triad on N threads, STREAM's counting of bytes
 *   update                GB/s     a = a + 3 b on N threads: no array is written that was not read,
 *                                  so nothing moves that STREAM's counting leaves out
 *   loopback              GB/s     one way over TCP on 127.0.0.1 between two processes
 *   loopback_latency      us       half a round trip of 8 bytes there
 *   memcpy                GB/s     copied once by one thread, as when a rank reads another's memory
 *   memcpy_shm            GB/s     copied through shared memory between two processes
 *   shm_latency           us       half a round trip of a word there
 *   call                  us       a function called through a pointer, by one thread
 *   read_cached           GB/s     read() of a page-cached file (PATH, else one in /dev/shm)
 *   read_storage          GB/s     read() of a file in FOLDER, else /tmp, that left the page cache
 *   write_synced          GB/s     write() and fsync() there
 *
 * Build: cc -O3 -march=native -static -pthread -o roofline roofline.c
 * Triad: J. D. McCalpin, "Memory Bandwidth and Machine Balance in Current High Performance
 * Computers", IEEE TCCA Newsletter, December 1995; https://www.cs.virginia.edu/stream/
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#if defined(__AVX512BF16__) || defined(__AMX_BF16__)
#include <immintrin.h>
#endif

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define MAX_THREADS 1024
#define MAX_REPETITIONS 16

static int threads = 1;
static const char *file_path, *folder_path = "/tmp";

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void *allocate(size_t bytes, int flags)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | flags, -1, 0);
    if (p == MAP_FAILED)
        die("mmap");
    madvise(p, bytes, MADV_HUGEPAGE);
    return p;
}

/* ---- work shared by N threads: seconds of the best repetition -------------------------------- */

struct team {
    void (*prepare)(int thread);
    void (*body)(int thread);
    int repetitions;
    pthread_barrier_t barrier;
    double begun[MAX_REPETITIONS][MAX_THREADS];
    double ended[MAX_REPETITIONS][MAX_THREADS];
};

static struct team team;

static void *member(void *argument)
{
    int thread = (int)(size_t)argument;
    if (team.prepare)
        team.prepare(thread);
    for (int r = 0; r < team.repetitions; r++) {
        pthread_barrier_wait(&team.barrier);
        team.begun[r][thread] = now();
        team.body(thread);
        team.ended[r][thread] = now();
    }
    return NULL;
}

static double best_seconds(void (*prepare)(int), void (*body)(int), int repetitions)
{
    pthread_t ids[MAX_THREADS];
    team.prepare = prepare;
    team.body = body;
    team.repetitions = repetitions;
    pthread_barrier_init(&team.barrier, NULL, (unsigned)threads);
    for (int t = 1; t < threads; t++)
        if (pthread_create(&ids[t], NULL, member, (void *)(size_t)t))
            die("pthread_create");
    member((void *)0);
    for (int t = 1; t < threads; t++)
        pthread_join(ids[t], NULL);
    pthread_barrier_destroy(&team.barrier);

    double best = 1e30;
    for (int r = 0; r < repetitions; r++) {
        double first = team.begun[r][0], last = team.ended[r][0];
        for (int t = 1; t < threads; t++) {
            first = team.begun[r][t] < first ? team.begun[r][t] : first;
            last = team.ended[r][t] > last ? team.ended[r][t] : last;
        }
        best = last - first < best ? last - first : best;
    }
    return best;
}

/* ---- floating point: CHAINS independent FMAs hide the latency and still fit in 16 registers --- */

#if defined(__AVX512F__)
#define VECTOR_BYTES 64
#elif defined(__AVX__)
#define VECTOR_BYTES 32
#else
#define VECTOR_BYTES 16
#endif
#define CHAINS 12
#define PEAK_REPETITIONS 16

typedef float vector_fp32 __attribute__((vector_size(VECTOR_BYTES)));
typedef double vector_fp64 __attribute__((vector_size(VECTOR_BYTES)));

static volatile double sink[MAX_THREADS];

#define DEFINE_PEAK(NAME, SCALAR, VECTOR, STEPS)                                         \
    static void NAME##_body(int thread)                                                  \
    {                                                                                    \
        const VECTOR factor = (VECTOR){0} + (SCALAR)0.999;                               \
        const VECTOR addend = (VECTOR){0} + (SCALAR)0.001;                               \
        VECTOR chain[CHAINS];                                                            \
        for (int c = 0; c < CHAINS; c++)                                                 \
            chain[c] = (VECTOR){0} + (SCALAR)c;                                          \
        for (long step = 0; step < (STEPS); step++) {                                    \
            _Pragma("GCC unroll 12") for (int c = 0; c < CHAINS; c++)                    \
                chain[c] = chain[c] * factor + addend;                                   \
        }                                                                                \
        double sum = 0;                                                                  \
        for (int c = 0; c < CHAINS; c++)                                                 \
            sum += (double)chain[c][0];                                                  \
        sink[thread] = sum;                                                              \
    }                                                                                    \
    static double NAME(void)                                                             \
    {                                                                                    \
        double lanes = VECTOR_BYTES / sizeof(SCALAR);                                    \
        double flops = 2.0 * CHAINS * lanes * (double)(STEPS) * threads;                 \
        return flops / best_seconds(NULL, NAME##_body, PEAK_REPETITIONS) / 1e9;          \
    }

DEFINE_PEAK(peak_fp32, float, vector_fp32, 4000000L)
DEFINE_PEAK(peak_fp64, double, vector_fp64, 4000000L)

/* ---- bfloat16: two products and their sum in one lane of a vector, or 32 in one element of a tile -- */

#define BF16_STEPS 1000000L

#if defined(__AVX512BF16__)
static void bf16_vectors(int thread)
{
    const __m512bh factor = (__m512bh)_mm512_set1_epi32(0x3f803f80); /* ones */
    __m512 chain[CHAINS];
    for (int c = 0; c < CHAINS; c++)
        chain[c] = _mm512_setzero_ps();
    for (long step = 0; step < BF16_STEPS; step++) {
        _Pragma("GCC unroll 12") for (int c = 0; c < CHAINS; c++)
            chain[c] = _mm512_dpbf16_ps(chain[c], factor, factor);
    }
    double sum = 0;
    for (int c = 0; c < CHAINS; c++)
        sum += (double)chain[c][0];
    sink[thread] = sum;
}
#endif

#if defined(__AMX_BF16__)
#define ARCH_REQ_XCOMP_PERM 0x1023 /* Linux, Documentation/arch/x86/xstate.rst */
#define XFEATURE_XTILEDATA 18
#define TILES 4

static int tiles_granted(void)
{
    return !syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA);
}

static void bf16_tiles(int thread) /* 16 x 16 sums of 32 products each */
{
    struct {
        unsigned char palette, start, reserved[14];
        unsigned short row_bytes[16];
        unsigned char rows[16];
    } shape = {.palette = 1};
    for (int t = 0; t < 8; t++) {
        shape.row_bytes[t] = 64;
        shape.rows[t] = 16;
    }
    static const unsigned short zeros[16 * 32];
    float sums[16 * 16];
    _tile_loadconfig(&shape);
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    _tile_loadd(4, zeros, 64);
    _tile_loadd(5, zeros, 64);
    _tile_loadd(6, zeros, 64);
    _tile_loadd(7, zeros, 64);
    for (long step = 0; step < BF16_STEPS / 8; step++) {
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
    _tile_stored(0, sums, 64);
    _tile_release();
    sink[thread] = (double)sums[0];
}
#endif

static double peak_bf16(void)
{
#if defined(__AMX_BF16__)
    if (tiles_granted()) {
        double flops = 2.0 * TILES * 16 * 16 * 32 * (double)(BF16_STEPS / 8) * threads;
        return flops / best_seconds(NULL, bf16_tiles, PEAK_REPETITIONS) / 1e9;
    }
#endif
    double best = peak_fp32(); /* after conversion */
#if defined(__AVX512BF16__)
    double flops = 2.0 * CHAINS * 32 * (double)BF16_STEPS * threads;
    double rate = flops / best_seconds(NULL, bf16_vectors, PEAK_REPETITIONS) / 1e9;
    best = rate > best ? rate : best;
#endif
    return best;
}

/* ---- memory: 3 arrays of 256 MiB; each is beyond the caches of a socket's share ---------------- */

#define TRIAD_BYTES (256 * MIB)
#define TRIAD_REPETITIONS 5

static double *a, *b, *c;

static size_t slice(int thread)
{
    return TRIAD_BYTES / sizeof(double) * (size_t)thread / (size_t)threads;
}

static void triad_prepare(int thread) /* first touch by the thread that uses it, as STREAM does */
{
    for (size_t i = slice(thread); i < slice(thread + 1); i++) {
        a[i] = 0.0;
        b[i] = 2.0;
        c[i] = 0.5;
    }
}

static void triad_body(int thread)
{
    size_t end = slice(thread + 1);
    double *restrict out = a;
    const double *restrict left = b, *restrict right = c;
    for (size_t i = slice(thread); i < end; i++)
        out[i] = left[i] + 3.0 * right[i];
}

static void update_body(int thread)
{
    size_t end = slice(thread + 1);
    double *restrict out = a;
    const double *restrict left = b;
    for (size_t i = slice(thread); i < end; i++)
        out[i] += 3.0 * left[i];
}

static double stream_rate(void (*body)(int)) /* both count three arrays */
{
    a = allocate(TRIAD_BYTES, MAP_PRIVATE);
    b = allocate(TRIAD_BYTES, MAP_PRIVATE);
    c = allocate(TRIAD_BYTES, MAP_PRIVATE);
    double seconds = best_seconds(triad_prepare, body, TRIAD_REPETITIONS);
    munmap(a, TRIAD_BYTES);
    munmap(b, TRIAD_BYTES);
    munmap(c, TRIAD_BYTES);
    return 3.0 * (double)TRIAD_BYTES / seconds / 1e9;
}

static double triad(void)
{
    return stream_rate(triad_body);
}

static double update(void)
{
    return stream_rate(update_body);
}

/* ---- TCP over loopback --------------------------------------------------------------------------- */

#define STREAM_BYTES (64 * MIB)
#define STREAM_REPETITIONS 6

static void transfer_all(ssize_t (*step)(int, void *, size_t), int fd, char *buffer, size_t bytes)
{
    while (bytes > 0) {
        ssize_t n = step(fd, buffer, bytes < MIB ? bytes : MIB);
        if (n <= 0)
            die("socket");
        bytes -= (size_t)n;
    }
}

static ssize_t write_step(int fd, void *buffer, size_t bytes)
{
    return write(fd, buffer, bytes);
}

/* A child that is connected to this process over TCP on 127.0.0.1, and this end of the connection. */
static pid_t fork_connected(void (*talk)(int fd, char *buffer), char *buffer, int *fd)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int yes = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) ||
        listen(listener, 1) || getsockname(listener, (struct sockaddr *)&address, &length))
        die("listen on 127.0.0.1");
    pid_t child = fork();
    if (child == 0) {
        int mine = socket(AF_INET, SOCK_STREAM, 0);
        if (mine < 0 || connect(mine, (const struct sockaddr *)&address, sizeof address) ||
            setsockopt(mine, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes))
            die("connect");
        talk(mine, buffer);
        _exit(0);
    }
    *fd = accept(listener, NULL, NULL);
    if (child < 0 || *fd < 0 || setsockopt(*fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes))
        die("accept");
    close(listener);
    return child;
}

static void send_streams(int fd, char *buffer)
{
    char go;
    for (int r = 0; r < STREAM_REPETITIONS; r++) {
        transfer_all(read, fd, &go, 1);
        transfer_all(write_step, fd, buffer, STREAM_BYTES);
    }
}

static double loopback(void)
{
    char *buffer = allocate(MIB, MAP_PRIVATE);
    memset(buffer, 1, MIB);
    int fd;
    pid_t child = fork_connected(send_streams, buffer, &fd);
    double best = 1e30;
    for (int r = 0; r < STREAM_REPETITIONS; r++) {
        double begun = now();
        transfer_all(write_step, fd, buffer, 1);
        transfer_all(read, fd, buffer, STREAM_BYTES);
        double seconds = now() - begun;
        best = seconds < best ? seconds : best;
    }
    waitpid(child, NULL, 0);
    close(fd);
    munmap(buffer, MIB);
    return (double)STREAM_BYTES / best / 1e9;
}

#define PING_BYTES 8
#define PINGS 200
#define PING_REPETITIONS 20

static void answer_pings(int fd, char *buffer)
{
    for (int i = 0; i < PINGS * PING_REPETITIONS; i++) {
        transfer_all(read, fd, buffer, PING_BYTES);
        transfer_all(write_step, fd, buffer, PING_BYTES);
    }
}

static double loopback_latency(void)
{
    char buffer[PING_BYTES] = {0};
    int fd;
    pid_t child = fork_connected(answer_pings, buffer, &fd);
    double best = 1e30;
    for (int r = 0; r < PING_REPETITIONS; r++) {
        double begun = now();
        for (int i = 0; i < PINGS; i++) {
            transfer_all(write_step, fd, buffer, PING_BYTES);
            transfer_all(read, fd, buffer, PING_BYTES);
        }
        double seconds = now() - begun;
        best = seconds < best ? seconds : best;
    }
    waitpid(child, NULL, 0);
    close(fd);
    return best / PINGS / 2 * 1e6;
}

/* ---- shared memory: one process copies in, the other copies out, SLOTS chunks in flight ---------- */

#define MESSAGE_BYTES (16 * MIB)
#define CHUNK_BYTES (128 * KIB)
#define SLOTS 8
#define SHM_REPETITIONS 12

struct ring {
    size_t filled __attribute__((aligned(64)));
    size_t drained __attribute__((aligned(64)));
    char chunk[SLOTS][CHUNK_BYTES] __attribute__((aligned(64)));
};

static size_t wait_beyond(size_t *counter, size_t value)
{
    size_t seen;
    while ((seen = __atomic_load_n(counter, __ATOMIC_ACQUIRE)) <= value)
        sched_yield();
    return seen;
}

static void shm_sender(struct ring *ring, const char *message)
{
    size_t chunks = SHM_REPETITIONS * (MESSAGE_BYTES / CHUNK_BYTES);
    for (size_t i = 0; i < chunks; i++) {
        if (i >= SLOTS)
            wait_beyond(&ring->drained, i - SLOTS);
        memcpy(ring->chunk[i % SLOTS], message + i * CHUNK_BYTES % MESSAGE_BYTES, CHUNK_BYTES);
        __atomic_store_n(&ring->filled, i + 1, __ATOMIC_RELEASE);
    }
    _exit(0);
}

static double memcpy_shm(void)
{
    struct ring *ring = allocate(sizeof *ring, MAP_SHARED);
    char *sent = allocate(MESSAGE_BYTES, MAP_PRIVATE), *received = allocate(MESSAGE_BYTES, MAP_PRIVATE);
    memset(sent, 1, MESSAGE_BYTES);
    memset(received, 0, MESSAGE_BYTES);
    memset(ring, 0, sizeof *ring);
    pid_t child = fork();
    if (child < 0)
        die("fork");
    if (child == 0)
        shm_sender(ring, sent);
    size_t i = 0;
    double best = 1e30;
    for (int r = 0; r < SHM_REPETITIONS; r++) {
        double begun = now();
        for (size_t end = i + MESSAGE_BYTES / CHUNK_BYTES; i < end; i++) {
            wait_beyond(&ring->filled, i);
            memcpy(received + i * CHUNK_BYTES % MESSAGE_BYTES, ring->chunk[i % SLOTS], CHUNK_BYTES);
            __atomic_store_n(&ring->drained, i + 1, __ATOMIC_RELEASE);
        }
        double seconds = now() - begun;
        best = seconds < best ? seconds : best;
    }
    waitpid(child, NULL, 0);
    if (memcmp(sent, received, MESSAGE_BYTES)) {
        fprintf(stderr, "memcpy_shm: the message arrived damaged\n");
        exit(1);
    }
    munmap(ring, sizeof *ring);
    munmap(sent, MESSAGE_BYTES);
    munmap(received, MESSAGE_BYTES);
    return (double)MESSAGE_BYTES / best / 1e9;
}

static double memcpy_once(void)
{
    char *sent = allocate(MESSAGE_BYTES, MAP_PRIVATE), *received = allocate(MESSAGE_BYTES, MAP_PRIVATE);
    memset(sent, 1, MESSAGE_BYTES);
    memset(received, 0, MESSAGE_BYTES);
    double best = 1e30;
    for (int r = 0; r < SHM_REPETITIONS; r++) {
        double begun = now();
        memcpy(received, sent, MESSAGE_BYTES);
        __asm__ volatile("" ::: "memory");
        double seconds = now() - begun;
        best = seconds < best ? seconds : best;
    }
    munmap(sent, MESSAGE_BYTES);
    munmap(received, MESSAGE_BYTES);
    return (double)MESSAGE_BYTES / best / 1e9;
}

static double shm_latency(void)
{
    struct ring *ring = allocate(sizeof *ring, MAP_SHARED);
    memset(ring, 0, sizeof *ring);
    pid_t child = fork();
    if (child < 0)
        die("fork");
    if (child == 0) {
        for (size_t i = 0; i < PINGS * PING_REPETITIONS; i++) {
            wait_beyond(&ring->filled, i);
            __atomic_store_n(&ring->drained, i + 1, __ATOMIC_RELEASE);
        }
        _exit(0);
    }
    size_t i = 0;
    double best = 1e30;
    for (int r = 0; r < PING_REPETITIONS; r++) {
        double begun = now();
        for (size_t end = i + PINGS; i < end; i++) {
            __atomic_store_n(&ring->filled, i + 1, __ATOMIC_RELEASE);
            wait_beyond(&ring->drained, i);
        }
        double seconds = now() - begun;
        best = seconds < best ? seconds : best;
    }
    waitpid(child, NULL, 0);
    munmap(ring, sizeof *ring);
    return best / PINGS / 2 * 1e6;
}

/* ---- calls --------------------------------------------------------------------------------------- */

#define CALLS 1000000

static void count_call(volatile long *calls)
{
    ++*calls;
}

static double call(void)
{
    void (*volatile function)(volatile long *) = count_call;
    volatile long calls = 0;
    double best = 1e30;
    for (int r = 0; r < PEAK_REPETITIONS; r++) {
        double begun = now();
        for (long i = 0; i < CALLS; i++)
            function(&calls);
        double seconds = now() - begun;
        best = seconds < best ? seconds : best;
    }
    return best / CALLS * 1e6;
}

/* ---- page cache ------------------------------------------------------------------------------------ */

#define CACHED_BYTES (32 * MIB)
#define READ_REPETITIONS 6

static int nameless_file(const char *folder)
{
    char name[4096];
    if (snprintf(name, sizeof name, "%s/roofline-XXXXXX", folder) >= (int)sizeof name)
        die("folder");
    int fd = mkstemp(name);
    if (fd < 0)
        die(folder);
    unlink(name);
    return fd;
}

static void write_file(int fd, size_t bytes)
{
    char *block = allocate(MIB, MAP_PRIVATE);
    memset(block, 1, MIB);
    for (size_t n = 0; n < bytes; n += MIB)
        if (write(fd, block, MIB) != (ssize_t)MIB)
            die("write");
    munmap(block, MIB);
}

static double read_rate(int fd, char *block)
{
    size_t total = 0;
    ssize_t n;
    double begun = now();
    for (lseek(fd, 0, SEEK_SET); (n = read(fd, block, MIB)) > 0;)
        total += (size_t)n;
    return (double)total / (now() - begun) / 1e9;
}

static int cached_file(void)
{
    if (file_path)
        return open(file_path, O_RDONLY);
    int fd = nameless_file("/dev/shm");
    write_file(fd, CACHED_BYTES);
    return fd;
}

static double read_cached(void)
{
    int fd = cached_file();
    if (fd < 0)
        die(file_path ? file_path : "/dev/shm");
    char *block = allocate(MIB, MAP_PRIVATE);
    double best = 0;
    for (int r = 0; r <= READ_REPETITIONS; r++) { /* the first one fills the cache */
        double rate = read_rate(fd, block);
        best = r > 0 && rate > best ? rate : best;
    }
    close(fd);
    munmap(block, MIB);
    return best;
}

/* ---- storage ------------------------------------------------------------------------------------- */

#define STORED_BYTES (64 * MIB)
#define STORAGE_REPETITIONS 4

static double read_storage(void)
{
    int fd = nameless_file(folder_path);
    write_file(fd, STORED_BYTES);
    char *block = allocate(MIB, MAP_PRIVATE);
    double best = 0;
    for (int r = 0; r < STORAGE_REPETITIONS; r++) {
        if (fsync(fd) || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED))
            die(folder_path);
        double rate = read_rate(fd, block);
        best = rate > best ? rate : best;
    }
    close(fd);
    munmap(block, MIB);
    return best;
}

static double write_synced(void)
{
    double best = 0;
    for (int r = 0; r < STORAGE_REPETITIONS; r++) { /* a new file each time, as checkpoints are */
        int fd = nameless_file(folder_path);
        double begun = now();
        write_file(fd, STORED_BYTES);
        if (fsync(fd))
            die(folder_path);
        double rate = (double)STORED_BYTES / (now() - begun) / 1e9;
        best = rate > best ? rate : best;
        close(fd);
    }
    return best;
}

/* ---- command line ------------------------------------------------------------------------------------ */

static const struct probe {
    const char *name, *unit;
    double (*measure)(void);
} probes[] = {
    {"peak_fp32", "GFLOP/s", peak_fp32},    {"peak_fp64", "GFLOP/s", peak_fp64},
    {"peak_bf16", "GFLOP/s", peak_bf16},    {"triad", "GB/s", triad},
    {"update", "GB/s", update},             {"loopback", "GB/s", loopback},
    {"memcpy", "GB/s", memcpy_once},        {"loopback_latency", "us", loopback_latency},
    {"memcpy_shm", "GB/s", memcpy_shm},     {"shm_latency", "us", shm_latency},
    {"read_cached", "GB/s", read_cached},   {"read_storage", "GB/s", read_storage},
    {"write_synced", "GB/s", write_synced}, {"call", "us", call},
};
#define PROBES (sizeof probes / sizeof probes[0])

static void usage(void)
{
    fprintf(stderr, "usage: roofline --threads N [--only NAME[,NAME...]] [--file PATH] "
                    "[--folder PATH]\nnames:");
    for (size_t i = 0; i < PROBES; i++)
        fprintf(stderr, " %s", probes[i].name);
    fprintf(stderr, "\n");
    exit(2);
}

static void select_probes(char *names, int wanted[PROBES])
{
    memset(wanted, 0, PROBES * sizeof wanted[0]);
    for (char *name = strtok(names, ","); name; name = strtok(NULL, ",")) {
        size_t i = 0;
        while (i < PROBES && strcmp(name, probes[i].name))
            i++;
        if (i == PROBES)
            usage();
        wanted[i] = 1;
    }
}

int main(int argc, char **argv)
{
    int wanted[PROBES];
    for (size_t i = 0; i < PROBES; i++)
        wanted[i] = 1;
    for (int i = 1; i < argc; i += 2) {
        if (i + 1 == argc)
            usage();
        if (!strcmp(argv[i], "--threads"))
            threads = atoi(argv[i + 1]);
        else if (!strcmp(argv[i], "--only"))
            select_probes(argv[i + 1], wanted);
        else if (!strcmp(argv[i], "--file"))
            file_path = argv[i + 1];
        else if (!strcmp(argv[i], "--folder"))
            folder_path = argv[i + 1];
        else
            usage();
    }
    if (threads < 1 || threads > MAX_THREADS)
        usage();
    const char *separator = "{";
    for (size_t i = 0; i < PROBES; i++)
        if (wanted[i]) {
            double value = probes[i].measure();
            printf("%s\"%s\": {\"value\": %.6g, \"unit\": \"%s\"}", separator, probes[i].name,
                   value, probes[i].unit);
            separator = ", ";
        }
    printf("}\n");
    return 0;
}
