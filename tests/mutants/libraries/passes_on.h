/* For libraries that are loaded in place of FFTW: plans are the true one's, and remembered here.

   A fault that spoils results defines spoil(), which is called after each transform; one of another
   kind defines its functions itself, and calls the true ones by TRUE(name).
   https://www.fftw.org/fftw3_doc/FFTW-Reference.html */
#define _GNU_SOURCE
#include <complex.h>
#include <dlfcn.h>
#include <stdlib.h>

#define TRUE(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

typedef double complex number;
typedef void *plan;

plan fftw_plan_many_dft(int rank, const int *n, int batch, number *in, const int *inembed,
                        int istride, int idist, number *out, const int *onembed, int ostride,
                        int odist, int sign, unsigned flags);
plan fftw_plan_dft_r2c(int rank, const int *n, double *in, number *out, unsigned flags);
void fftw_execute(plan p);

static long product(int rank, const int *n)
{
    long points = 1;
    while (rank--)
        points *= *n++;
    return points;
}

#ifdef SPOILS
struct planned {
    plan plan;
    number *out;
    long points, batch;
    int sign, times;
    struct planned *next;
};

static void spoil(struct planned *p);
static struct planned *all;

plan fftw_plan_many_dft(int rank, const int *n, int batch, number *in, const int *inembed,
                        int istride, int idist, number *out, const int *onembed, int ostride,
                        int odist, int sign, unsigned flags)
{
    struct planned *p = malloc(sizeof *p);
    *p = (struct planned){
        .plan = TRUE(fftw_plan_many_dft)(rank, n, batch, in, inembed, istride, idist, out, onembed,
                                         ostride, odist, sign, flags),
        .out = out, .points = product(rank, n), .batch = batch, .sign = sign, .next = all};
    all = p;
    return p->plan;
}

void fftw_execute(plan wanted)
{
    TRUE(fftw_execute)(wanted);
    for (struct planned *p = all; p; p = p->next)
        if (p->plan == wanted) {
            p->times++;
            spoil(p);
        }
}
#endif
