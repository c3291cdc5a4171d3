/* Forward is what others call backward: consistent with itself, and wrong. */
#include "passes_on.h"

plan fftw_plan_many_dft(int rank, const int *n, int batch, number *in, const int *inembed,
                        int istride, int idist, number *out, const int *onembed, int ostride,
                        int odist, int sign, unsigned flags)
{
    return TRUE(fftw_plan_many_dft)(rank, n, batch, in, inembed, istride, idist, out, onembed,
                                    ostride, odist, -sign, flags);
}
