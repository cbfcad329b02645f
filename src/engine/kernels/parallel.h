// SPDX-License-Identifier: Apache-2.0
//
// How kernels and loaders get threads: they are handed a pool, they never make one.
#pragma once

#include <cstddef>
#include <functional>

namespace omg {

/// Runs body(begin, end, worker) over disjoint ranges that cover [0, count), each a multiple of
/// `grain` long (but for the last), on several threads; returns when all are done.
/// worker < worker_count().
class Parallel {
 public:
  using Body = std::function<void(size_t begin, size_t end, size_t worker)>;
  virtual ~Parallel() = default;
  virtual size_t worker_count() const = 0;
  virtual void run(size_t count, size_t grain, const Body& body) = 0;
};

}  // namespace omg
