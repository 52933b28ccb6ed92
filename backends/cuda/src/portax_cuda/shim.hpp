// CUDA's language as far as portax's kernels use it, for a compiler of C++: the threads of a launch run one after the
// other. No kernel waits for another thread, shares memory with its block or counts in one step; the words for that are
// missing here, so a kernel that needs them is refused and never run wrongly.
#include <utility>

struct px_place { unsigned int x, y, z; };
static thread_local px_place threadIdx, blockIdx, blockDim, gridDim;

#define __global__
#define __device__

extern "C" float sqrtf(float) noexcept;
extern "C" double sqrt(double) noexcept;
extern "C" float fmodf(float, float) noexcept;
extern "C" double fmod(double, double) noexcept;
extern "C" float fmaf(float, float, float) noexcept;
extern "C" double fma(double, double, double) noexcept;

template <class To, class From> static inline To px_same_bits(From x) {
  static_assert(sizeof(To) == sizeof(From), "bits are read as a number of the same width");
  To y;
  __builtin_memcpy(&y, &x, sizeof y);
  return y;
}
static inline unsigned int __float_as_uint(float x) { return px_same_bits<unsigned int>(x); }
static inline float __uint_as_float(unsigned int u) { return px_same_bits<float>(u); }
static inline long long __double_as_longlong(double x) { return px_same_bits<long long>(x); }
static inline double __longlong_as_double(long long u) { return px_same_bits<double>(u); }

// `given` points to the arguments, as a launch on a GPU is given them. The last thread first, where `backwards`.
template <class... A, std::size_t... I>
static void px_each(void (*kernel)(A...), void **given, bool backwards, std::index_sequence<I...>) {
  const unsigned long long all = 1ull * gridDim.x * blockDim.x;
  for (unsigned long long turn = 0; turn < all; turn++) {
    const unsigned long long at = backwards ? all - 1 - turn : turn;
    blockIdx = {(unsigned int)(at / blockDim.x), 0, 0};
    threadIdx = {(unsigned int)(at % blockDim.x), 0, 0};
    kernel(*static_cast<A *>(given[I])...);
  }
}

template <class... A>
static void px_launch(void (*kernel)(A...), unsigned int blocks, unsigned int threads, void **given, bool backwards) {
  gridDim = {blocks, 1, 1};
  blockDim = {threads, 1, 1};
  px_each(kernel, given, backwards, std::index_sequence_for<A...>());
}

#define PX_KERNEL(name)                                                                                  \
  extern "C" void launch_##name(unsigned int blocks, unsigned int threads, void **given, int backwards) { \
    px_launch(name, blocks, threads, given, backwards != 0);                                              \
  }
