// SPDX-License-Identifier: Apache-2.0
//
// The post-processors of tokenizer.json, as far as they concern one text: which tokens go before
// and after it.
// Source: https://huggingface.co/docs/tokenizers/api/post-processors
#pragma once

#include <vector>

#include "text/tokenizer/huggingface/json_node.h"
#include "text/tokenizer/huggingface/token_table.h"

namespace omg::huggingface {

/// Ids around a text that is encoded with its special tokens.
struct Frame {
  std::vector<TokenId> before, after;
};

/// Error(kUnsupported) naming a type that is not known; Error(kCorrupt) for an id that is no token.
Frame read_post_processor(const JsonNode& node, const TokenTable& tokens);

}  // namespace omg::huggingface
