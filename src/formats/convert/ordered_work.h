// SPDX-License-Identifier: Apache-2.0
//
// Pieces of work that are done on several threads and used in their order, in bounded memory: how a
// file is converted faster than one thread can and still written from front to back.
#pragma once

#include <cstddef>
#include <functional>

namespace omg {

struct OrderedWork {
  size_t count = 0;    // pieces
  size_t threads = 1;  // at least 1
  size_t slots = 1;    // pieces finished or under way at a time; at least 1
  /// Called once for each piece, on `threads` threads at once. A slot belongs to one piece from its
  /// produce() to the end of its consume(); worker < threads.
  std::function<void(size_t piece, size_t slot, size_t worker)> produce;
  /// Called on the calling thread, pieces in order.
  std::function<void(size_t piece, size_t slot)> consume;
};

/// Returns when all pieces are consumed and the threads are gone. What produce() or consume()
/// throws ends the work and is thrown again; of several exceptions the first.
void run_in_order(const OrderedWork& work);

}  // namespace omg
