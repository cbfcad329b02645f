// SPDX-License-Identifier: Apache-2.0
//
// Which tensors a family has, and how its random weights must be spread for the model to behave.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "tools/make_model/options.h"

namespace omg::model_maker {

struct ModelTensor {
  std::string name;
  uint32_t rank;
  std::array<uint64_t, 4> shape;  // shape[0] is the row length
  float mean = 0;                 // of the random weights; vectors alone may differ from 0
  float deviation = 0;            // standard deviation
  std::vector<float> values;      // when not empty, exactly these (F32 vectors)
};

/// `options` are complete. In the order of published files.
std::vector<ModelTensor> model_tensors(const Options& options);

}  // namespace omg::model_maker
