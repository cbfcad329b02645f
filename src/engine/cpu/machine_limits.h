// SPDX-License-Identifier: Apache-2.0
//
// What this machine can do at most, measured and not taken from a data sheet: virtual machines,
// clocks that depend on the instructions in use and memory that others share make those worthless.
#pragma once

#include "engine/kernels/isa.h"
#include "engine/kernels/parallel.h"
#include "engine/profile.h"

namespace omg {

/// Bytes that a plain loop reads from memory in a second on all workers together: the best of a few
/// passes (at least two, about 50 ms) over 256 MiB, which are allocated for it.
/// Error(kOutOfMemory).
double measure_read_bandwidth(Parallel& parallel);

/// The bandwidth, and the peaks of the instructions that the kernels of `isa` multiply with.
/// Takes about a quarter of a second.
MachineLimits measure_machine_limits(Isa isa, Parallel& parallel);

}  // namespace omg
