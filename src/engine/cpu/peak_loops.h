// SPDX-License-Identifier: Apache-2.0
//
// Loops that do nothing but the multiplications of one instruction set, as fast as it can: enough
// independent chains that latency cannot stall them, and no memory.
#pragma once

#include <cstddef>

#include "engine/kernels/isa.h"

namespace omg {

struct PeakLoop {
  void (*run)(size_t steps) = nullptr;  // null: not known for this instruction set
  double operations_per_step = 0;       // multiplications and additions
};

struct PeakLoops {
  PeakLoop int8;
  PeakLoop float32;
};

/// `isa` must be supported by this machine.
PeakLoops peak_loops(Isa isa);

}  // namespace omg
