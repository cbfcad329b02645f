// SPDX-License-Identifier: Apache-2.0
//
// Inline assembly, because a compiler would fold a loop that multiplies constants.
#include "engine/cpu/peak_loops.h"

#include <cstdint>

#include "engine/cpu/target.h"

#if OMG_HAVE_X86
#include <immintrin.h>
#elif OMG_HAVE_NEON
#include <arm_neon.h>
#endif

namespace omg {
namespace {

// Twelve chains: a latency of 5 (AVX-512 VNNI) or 4 with two instructions begun in a cycle needs
// ten, and sixteen registers must hold them all.
constexpr size_t kChains = 12;

#if OMG_HAVE_X86

OMG_TARGET_BEGIN(OMG_TARGET_AVX512);
void avx512_int8(size_t steps) {
  __m512i sums[kChains];
  const __m512i codes = _mm512_set1_epi8(3);
  OMG_UNROLL
  for (size_t i = 0; i < kChains; ++i) sums[i] = _mm512_setzero_si512();
  for (size_t step = 0; step < steps; ++step) {
    OMG_UNROLL
    for (size_t i = 0; i < kChains; ++i) {
      asm volatile("vpdpbusd %1, %1, %0" : "+v"(sums[i]) : "v"(codes));
    }
  }
}

void avx512_float(size_t steps) {
  __m512 sums[kChains];
  const __m512 half = _mm512_set1_ps(0.5f);
  OMG_UNROLL
  for (size_t i = 0; i < kChains; ++i) sums[i] = _mm512_setzero_ps();
  for (size_t step = 0; step < steps; ++step) {
    OMG_UNROLL
    for (size_t i = 0; i < kChains; ++i) {
      asm volatile("vfmadd231ps %1, %1, %0" : "+v"(sums[i]) : "v"(half));
    }
  }
}
OMG_TARGET_END;

OMG_TARGET_BEGIN(OMG_TARGET_AVX2);
/// Without a dot product instruction three stand for it: products of bytes in pairs, of those in
/// pairs, and the sum.
void avx2_int8(size_t steps) {
  __m256i sums[kChains];
  const __m256i codes = _mm256_set1_epi8(3);
  const __m256i ones = _mm256_set1_epi16(1);
  OMG_UNROLL
  for (size_t i = 0; i < kChains; ++i) sums[i] = _mm256_setzero_si256();
  for (size_t step = 0; step < steps; ++step) {
    OMG_UNROLL
    for (size_t i = 0; i < kChains; ++i) {
      __m256i products;
      asm volatile(
          "vpmaddubsw %2, %2, %1\n\t"
          "vpmaddwd %3, %1, %1\n\t"
          "vpaddd %1, %0, %0"
          : "+x"(sums[i]), "=&x"(products)
          : "x"(codes), "x"(ones));
    }
  }
}

void avx2_float(size_t steps) {
  __m256 sums[kChains];
  const __m256 half = _mm256_set1_ps(0.5f);
  OMG_UNROLL
  for (size_t i = 0; i < kChains; ++i) sums[i] = _mm256_setzero_ps();
  for (size_t step = 0; step < steps; ++step) {
    OMG_UNROLL
    for (size_t i = 0; i < kChains; ++i) {
      asm volatile("vfmadd231ps %1, %1, %0" : "+x"(sums[i]) : "x"(half));
    }
  }
}
OMG_TARGET_END;

#elif OMG_HAVE_NEON

void neon_float(size_t steps) {
  float32x4_t sums[kChains];
  const float32x4_t half = vdupq_n_f32(0.5f);
  OMG_UNROLL
  for (size_t i = 0; i < kChains; ++i) sums[i] = vdupq_n_f32(0.0f);
  for (size_t step = 0; step < steps; ++step) {
    OMG_UNROLL
    for (size_t i = 0; i < kChains; ++i) {
      asm volatile("fmla %0.4s, %1.4s, %1.4s" : "+w"(sums[i]) : "w"(half));
    }
  }
}

OMG_TARGET_BEGIN(OMG_TARGET_NEON_DOTPROD);
void neon_dot(size_t steps) {
  int32x4_t sums[kChains];
  const int8x16_t codes = vdupq_n_s8(3);
  OMG_UNROLL
  for (size_t i = 0; i < kChains; ++i) sums[i] = vdupq_n_s32(0);
  for (size_t step = 0; step < steps; ++step) {
    OMG_UNROLL
    for (size_t i = 0; i < kChains; ++i) {
      asm volatile("sdot %0.4s, %1.16b, %1.16b" : "+w"(sums[i]) : "w"(codes));
    }
  }
}
OMG_TARGET_END;

OMG_TARGET_BEGIN(OMG_TARGET_NEON_I8MM);
void neon_matrix(size_t steps) {
  int32x4_t sums[kChains];
  const int8x16_t codes = vdupq_n_s8(3);
  OMG_UNROLL
  for (size_t i = 0; i < kChains; ++i) sums[i] = vdupq_n_s32(0);
  for (size_t step = 0; step < steps; ++step) {
    OMG_UNROLL
    for (size_t i = 0; i < kChains; ++i) {
      asm volatile("smmla %0.4s, %1.16b, %1.16b" : "+w"(sums[i]) : "w"(codes));
    }
  }
}
OMG_TARGET_END;

#endif

}  // namespace

PeakLoops peak_loops(Isa isa) {
  // Operations of one instruction, a multiplication and an addition for each product.
  const auto loop = [](void (*run)(size_t), double operations) {
    return PeakLoop{run, operations * double(kChains)};
  };
  switch (isa) {
#if OMG_HAVE_X86
    case Isa::kAvx512Bf16:
    case Isa::kAvx512:
      return {loop(avx512_int8, 128), loop(avx512_float, 32)};
    case Isa::kAvx2:
      return {loop(avx2_int8, 64), loop(avx2_float, 16)};
#elif OMG_HAVE_NEON
    case Isa::kNeonI8mm:
      return {loop(neon_matrix, 64), loop(neon_float, 8)};
    case Isa::kNeonDotprod:
      return {loop(neon_dot, 32), loop(neon_float, 8)};
    case Isa::kNeon:
      return {{}, loop(neon_float, 8)};
#endif
    default:
      return {};
  }
}

}  // namespace omg
