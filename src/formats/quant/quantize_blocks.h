// SPDX-License-Identifier: Apache-2.0
//
// One block of floats to one block of weights, for each quantised type. Inside formats/quant only:
// everyone else calls quantize().
#pragma once

#include "formats/quant/blocks.h"

namespace omg {

// `x` holds 32 (or, for the super-blocks, 256) finite floats. Those below scale_search::kNegligible
// are zero, except for MXFP4, and none is so large that the block's scales overflow; quantize()
// sees to both.
void quantize_block(const float* x, BlockQ4_0& block);
void quantize_block(const float* x, BlockQ4_1& block);
void quantize_block(const float* x, BlockQ5_0& block);
void quantize_block(const float* x, BlockQ5_1& block);
void quantize_block(const float* x, BlockQ8_0& block);
void quantize_block(const float* x, BlockIQ4_NL& block);
void quantize_block(const float* x, BlockMXFP4& block);
void quantize_block(const float* x, BlockQ2_K& block);
void quantize_block(const float* x, BlockQ3_K& block);
void quantize_block(const float* x, BlockQ4_K& block);
void quantize_block(const float* x, BlockQ5_K& block);
void quantize_block(const float* x, BlockQ6_K& block);
void quantize_block(const float* x, BlockIQ4_XS& block);

}  // namespace omg
