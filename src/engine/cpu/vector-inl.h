// SPDX-License-Identifier: Apache-2.0
//
// Vector code of kernels/vector.h, written once over a small set of register operations (`Simd`)
// and compiled for each instruction set: a unit opens its target region, includes its simd_*-inl.h
// and then this file, inside its own namespace. No include guard, no includes of its own.

struct VectorCode {
  using F = Simd::F;
  static constexpr size_t kLanes = Simd::kLanes;

  static OMG_INLINE F load_part(const float* x, size_t n) {
    alignas(64) float buffer[kLanes] = {};
    std::memcpy(buffer, x, n * sizeof(float));
    return Simd::load(buffer);
  }
  static OMG_INLINE void store_part(float* x, F value, size_t n) {
    alignas(64) float buffer[kLanes];
    Simd::store(buffer, value);
    std::memcpy(x, buffer, n * sizeof(float));
  }

  /// e^x within 2 ulp for x in [-87, 88], clamped beyond. Cody-Waite reduction, then the Taylor
  /// polynomial of degree 7 on [-ln2/2, ln2/2], whose error is below 2^-25.
  static OMG_INLINE F exp(F x) {
    x = Simd::min(Simd::max(x, Simd::set(-87.0f)), Simd::set(88.0f));
    const F n = Simd::round(Simd::mul(x, Simd::set(1.44269504f)));
    F r = Simd::fma(n, Simd::set(-0.693359375f), x);
    r = Simd::fma(n, Simd::set(2.12194440e-4f), r);
    F p = Simd::set(1.0f / 5040);
    p = Simd::fma(p, r, Simd::set(1.0f / 720));
    p = Simd::fma(p, r, Simd::set(1.0f / 120));
    p = Simd::fma(p, r, Simd::set(1.0f / 24));
    p = Simd::fma(p, r, Simd::set(1.0f / 6));
    p = Simd::fma(p, r, Simd::set(0.5f));
    p = Simd::fma(p, r, Simd::set(1.0f));
    p = Simd::fma(p, r, Simd::set(1.0f));
    return Simd::scale_by_power_of_two(p, n);
  }

  /// tanh(x) = 1 - 2 / (e^2x + 1), whose absolute error near 0 (6e-8) is what callers need.
  static OMG_INLINE F tanh(F x) {
    const F e = exp(Simd::mul(x, Simd::set(2.0f)));
    return Simd::sub(Simd::set(1.0f), Simd::div(Simd::set(2.0f), Simd::add(e, Simd::set(1.0f))));
  }
  static OMG_INLINE F silu(F x) {
    const F e = exp(Simd::sub(Simd::set(0.0f), x));
    return Simd::div(x, Simd::add(Simd::set(1.0f), e));
  }
  /// Hendrycks and Gimpel 2016 (arXiv:1606.08415): x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x³))),
  /// as x / (1 + e^-2u), which keeps small results exact.
  static OMG_INLINE F gelu(F x) {
    const F cube = Simd::mul(Simd::mul(x, x), x);
    const F u = Simd::mul(Simd::fma(cube, Simd::set(0.044715f), x), Simd::set(0.79788456f));
    return Simd::div(x, Simd::add(Simd::set(1.0f), exp(Simd::mul(u, Simd::set(-2.0f)))));
  }

  /// Calls op(begin, count) for each register's worth of [0, n).
  template <class Op>
  static OMG_INLINE void for_each_vector(size_t n, Op op) {
    size_t i = 0;
    for (; i + kLanes <= n; i += kLanes) op(i, kLanes);
    if (i < n) op(i, n - i);
  }
  static OMG_INLINE F get(const float* x, size_t i, size_t n) {
    return n == kLanes ? Simd::load(x + i) : load_part(x + i, n);
  }
  static OMG_INLINE void put(float* x, size_t i, size_t n, F value) {
    n == kLanes ? Simd::store(x + i, value) : store_part(x + i, value, n);
  }

  static void rms_norm(const float* x, const float* weight, float epsilon, size_t n, float* out) {
    F squares = Simd::set(0.0f);
    for_each_vector(n, [&](size_t i, size_t count) OMG_INLINE_LAMBDA {
      const F value = get(x, i, count);
      squares = Simd::fma(value, value, squares);
    });
    const float mean = Simd::reduce_add(squares) / static_cast<float>(n);
    const F factor = Simd::set(1.0f / std::sqrt(mean + epsilon));
    for_each_vector(n, [&](size_t i, size_t count) OMG_INLINE_LAMBDA {
      F value = Simd::mul(get(x, i, count), factor);
      if (weight) value = Simd::mul(value, get(weight, i, count));
      put(out, i, count, value);
    });
  }

  static void layer_norm(const float* x, const float* weight, const float* bias, float epsilon,
                         size_t n, float* out) {
    F sum = Simd::set(0.0f);
    for_each_vector(n, [&](size_t i, size_t count)
                           OMG_INLINE_LAMBDA { sum = Simd::add(sum, get(x, i, count)); });
    const float mean = Simd::reduce_add(sum) / static_cast<float>(n);
    double squares = 0;  // lanes past n would count (0 - mean)², so the tail is summed apart
    F partial = Simd::set(0.0f);
    for_each_vector(n, [&](size_t i, size_t count) OMG_INLINE_LAMBDA {
      if (count == kLanes) {
        const F difference = Simd::sub(Simd::load(x + i), Simd::set(mean));
        partial = Simd::fma(difference, difference, partial);
      } else {
        for (size_t j = i; j < i + count; ++j) {
          squares += static_cast<double>(x[j] - mean) * (x[j] - mean);
        }
      }
    });
    squares += Simd::reduce_add(partial);
    const F factor =
        Simd::set(1.0f / std::sqrt(static_cast<float>(squares / static_cast<double>(n)) + epsilon));
    for_each_vector(n, [&](size_t i, size_t count) OMG_INLINE_LAMBDA {
      F value = Simd::mul(Simd::sub(get(x, i, count), Simd::set(mean)), factor);
      value = Simd::mul(value, get(weight, i, count));
      if (bias) value = Simd::add(value, get(bias, i, count));
      put(out, i, count, value);
    });
  }

  static void add(const float* x, size_t n, float* y) {
    for_each_vector(n, [&](size_t i, size_t count) OMG_INLINE_LAMBDA {
      put(y, i, count, Simd::add(get(x, i, count), get(y, i, count)));
    });
  }
  static void scale(float factor, size_t n, float* y) {
    for_each_vector(n, [&](size_t i, size_t count) OMG_INLINE_LAMBDA {
      put(y, i, count, Simd::mul(get(y, i, count), Simd::set(factor)));
    });
  }
  static void add_scaled(float weight, const float* x, size_t n, float* y) {
    for_each_vector(n, [&](size_t i, size_t count) OMG_INLINE_LAMBDA {
      put(y, i, count, Simd::fma(get(x, i, count), Simd::set(weight), get(y, i, count)));
    });
  }
  static void silu_gate(const float* gate, const float* up, size_t n, float* out) {
    for_each_vector(n, [&](size_t i, size_t count) OMG_INLINE_LAMBDA {
      F value = silu(get(gate, i, count));
      if (up) value = Simd::mul(value, get(up, i, count));
      put(out, i, count, value);
    });
  }
  static void gelu_gate(const float* gate, const float* up, size_t n, float* out) {
    for_each_vector(n, [&](size_t i, size_t count) OMG_INLINE_LAMBDA {
      F value = gelu(get(gate, i, count));
      if (up) value = Simd::mul(value, get(up, i, count));
      put(out, i, count, value);
    });
  }
  static void softcap(float cap, size_t n, float* y) {
    for_each_vector(n, [&](size_t i, size_t count) OMG_INLINE_LAMBDA {
      const F value = tanh(Simd::div(get(y, i, count), Simd::set(cap)));
      put(y, i, count, Simd::mul(value, Simd::set(cap)));
    });
  }
};
