/* Ceilings of the hardware, measured without the stack under test.
 *
 *   roofline --threads N [--only NAME[,NAME...]] [--file PATH]
 *
 * prints one JSON object, {"<name>": {"value": <best of several>, "unit": "..."}}:
 *
 *   peak_fp32, peak_fp64  GFLOP/s  register-resident fused multiply-add on N threads
 *   triad                 GB/s     STREAM triad on N threads, STREAM's counting of bytes
 *   loopback              GB/s     one way over TCP on 127.0.0.1 between two processes
 *   memcpy_shm            GB/s     copied through shared memory between two processes
 *   read_cached           GB/s     read() of a page-cached file (PATH, else one in /dev/shm)
 *
 * Build: cc -O3 -march=native -static -pthread -o roofline roofline.c
 * Triad: J. D. McCalpin, "Memory Bandwidth and Machine Balance in Current High Performance
 * Computers", IEEE TCCA Newsletter, December 1995; https://www.cs.virginia.edu/stream/
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define MAX_THREADS 1024
#define MAX_REPETITIONS 16

static int threads = 1;
static const char *file_path;

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

static double triad(void)
{
    a = allocate(TRIAD_BYTES, MAP_PRIVATE);
    b = allocate(TRIAD_BYTES, MAP_PRIVATE);
    c = allocate(TRIAD_BYTES, MAP_PRIVATE);
    double seconds = best_seconds(triad_prepare, triad_body, TRIAD_REPETITIONS);
    munmap(a, TRIAD_BYTES);
    munmap(b, TRIAD_BYTES);
    munmap(c, TRIAD_BYTES);
    return 3.0 * (double)TRIAD_BYTES / seconds / 1e9;
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

static void loopback_sender(const struct sockaddr_in *address, char *buffer)
{
    char go;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)address, sizeof *address))
        die("connect");
    for (int r = 0; r < STREAM_REPETITIONS; r++) {
        transfer_all(read, fd, &go, 1);
        transfer_all(write_step, fd, buffer, STREAM_BYTES);
    }
    _exit(0);
}

static double loopback(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) ||
        listen(listener, 1) || getsockname(listener, (struct sockaddr *)&address, &length))
        die("listen on 127.0.0.1");
    char *buffer = allocate(MIB, MAP_PRIVATE);
    memset(buffer, 1, MIB);
    pid_t child = fork();
    if (child == 0)
        loopback_sender(&address, buffer);
    int fd = accept(listener, NULL, NULL);
    if (child < 0 || fd < 0)
        die("accept");
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
    close(listener);
    munmap(buffer, MIB);
    return (double)STREAM_BYTES / best / 1e9;
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

/* ---- page cache ------------------------------------------------------------------------------------ */

#define CACHED_BYTES (32 * MIB)
#define READ_REPETITIONS 6

static int cached_file(void)
{
    if (file_path)
        return open(file_path, O_RDONLY);
    char name[] = "/dev/shm/roofline-XXXXXX";
    int fd = mkstemp(name);
    if (fd < 0)
        return fd;
    unlink(name);
    char *block = allocate(MIB, MAP_PRIVATE);
    memset(block, 1, MIB);
    for (size_t n = 0; n < CACHED_BYTES; n += MIB)
        if (write(fd, block, MIB) != (ssize_t)MIB)
            die("/dev/shm");
    munmap(block, MIB);
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
        size_t total = 0;
        ssize_t n;
        double begun = now();
        for (lseek(fd, 0, SEEK_SET); (n = read(fd, block, MIB)) > 0;)
            total += (size_t)n;
        double rate = (double)total / (now() - begun) / 1e9;
        best = r > 0 && rate > best ? rate : best;
    }
    close(fd);
    munmap(block, MIB);
    return best;
}

/* ---- command line ------------------------------------------------------------------------------------ */

static const struct probe {
    const char *name, *unit;
    double (*measure)(void);
} probes[] = {
    {"peak_fp32", "GFLOP/s", peak_fp32}, {"peak_fp64", "GFLOP/s", peak_fp64},
    {"triad", "GB/s", triad},            {"loopback", "GB/s", loopback},
    {"memcpy_shm", "GB/s", memcpy_shm},  {"read_cached", "GB/s", read_cached},
};
#define PROBES (sizeof probes / sizeof probes[0])

static void usage(void)
{
    fprintf(stderr, "usage: roofline --threads N [--only NAME[,NAME...]] [--file PATH]\nnames:");
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
