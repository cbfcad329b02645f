// SPDX-License-Identifier: Apache-2.0
//
// The inner half of packing: 16 rows, as model files hold them, become a panel (packed_layout.h).
#pragma once

#include <cstddef>

#include "engine/kernels/matmul.h"

namespace omg {

/// Packs one panel of `columns` columns, a multiple of the type's block. `rows` are where the
/// kPanelRows rows start; null for a row that does not exist, whose weights become zero. `panel` is
/// 64-byte aligned and as large as the layout says; gaps between its sections are not written.
void pack_panel(WeightType type, const std::byte* const* rows, size_t columns, std::byte* panel);

}  // namespace omg
