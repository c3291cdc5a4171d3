/* The release before, whose results are as good. */
const char fftw_version[] = "fftw-3.3.8-sse2-avx-avx2-avx2_128";
