// SPDX-License-Identifier: Apache-2.0
//
// A made vocabulary that any text can be tokenised with: every byte is a token, and longer tokens
// can be reached by merging shorter ones, about as long as in trained vocabularies. With it come
// the special tokens and the chat template of the family.
#pragma once

#include "formats/metadata.h"
#include "tools/make_model/options.h"

namespace omg::model_maker {

/// Adds all "tokenizer.…" keys. `options` are complete.
void add_vocabulary(const Options& options, Metadata& metadata);

}  // namespace omg::model_maker
