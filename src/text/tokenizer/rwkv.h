// SPDX-License-Identifier: Apache-2.0
//
// RWKV's "world" vocabulary (kind "rwkv"): at each place the longest token that stands there.
#pragma once

#include <memory>

#include "text/tokenizer/tokenizer.h"

namespace omg {

/// Needs `tokenizer.ggml.tokens`, in which bytes may be written as \t \n \r \xNN.
std::unique_ptr<Tokenizer> make_rwkv_tokenizer(const Metadata& metadata);

}  // namespace omg
