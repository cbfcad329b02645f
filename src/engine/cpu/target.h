// SPDX-License-Identifier: Apache-2.0
//
// Regions of code compiled for an instruction set beyond the baseline. Kernels stand between
// OMG_TARGET_BEGIN(OMG_TARGET_X) and OMG_TARGET_END instead of in files built with -mavx2: with the
// flag, an inline function of any header could be compiled for the larger set and then be the copy
// that the linker keeps for the whole program, which crashes on machines without it.
//
// Rules inside a region: include every header before it; no lambdas (Clang does not give them the
// target); helpers are `static inline` or in an unnamed namespace, never from std with a body
// that matters; the functions that callers see are reached through pointers only.
#pragma once

#define OMG_PRAGMA(tokens) _Pragma(#tokens)

#if defined(__clang__)
#define OMG_TARGET_BEGIN(features)                                                         \
  OMG_PRAGMA(clang attribute push(__attribute__((target(features))), apply_to = function)) \
  static_assert(true)
#define OMG_TARGET_END OMG_PRAGMA(clang attribute pop) static_assert(true)
#else
// GCC 12's own AVX-512 headers read `__Y = __Y` for "undefined" (GCC bug 105593): no news to us.
#define OMG_TARGET_BEGIN(features)                           \
  OMG_PRAGMA(GCC diagnostic push)                            \
  OMG_PRAGMA(GCC diagnostic ignored "-Wuninitialized")       \
  OMG_PRAGMA(GCC diagnostic ignored "-Wmaybe-uninitialized") \
  OMG_PRAGMA(GCC push_options)                               \
  OMG_PRAGMA(GCC target(features))                           \
  static_assert(true)
#define OMG_TARGET_END           \
  OMG_PRAGMA(GCC pop_options)    \
  OMG_PRAGMA(GCC diagnostic pop) \
  static_assert(true)
#endif

/// Before a loop of at most 16 steps over an array that has to live in registers. GCC leaves such
/// loops as they are beyond 8 steps or so, and the array in memory.
#if defined(__clang__)
#define OMG_UNROLL OMG_PRAGMA(clang loop unroll(full))
#else
#define OMG_UNROLL OMG_PRAGMA(GCC unroll 16)
#endif

#define OMG_INLINE inline __attribute__((always_inline))

// The feature lists behind the names in engine/kernels/isa.h.
#define OMG_TARGET_AVX2 "avx2,fma,f16c,bmi,bmi2"
#define OMG_TARGET_AVX512 "avx2,fma,f16c,bmi,bmi2,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni"
#define OMG_TARGET_AVX512_BF16 \
  "avx2,fma,f16c,bmi,bmi2,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512bf16"
#if defined(__clang__)
#define OMG_TARGET_NEON_DOTPROD "dotprod,fullfp16"
#define OMG_TARGET_NEON_I8MM "dotprod,fullfp16,i8mm"
#else
#define OMG_TARGET_NEON_DOTPROD "arch=armv8.2-a+dotprod+fp16"
#define OMG_TARGET_NEON_I8MM "arch=armv8.2-a+dotprod+fp16+i8mm"
#endif

#if defined(__x86_64__)
#define OMG_HAVE_X86 1
#else
#define OMG_HAVE_X86 0
#endif
#if defined(__aarch64__)
#define OMG_HAVE_NEON 1
#else
#define OMG_HAVE_NEON 0
#endif
