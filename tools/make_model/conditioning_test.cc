// SPDX-License-Identifier: Apache-2.0
//
// Made models must behave: logits with a spread that leaves a choice, at any depth, whatever the
// token before.
#include <cmath>
#include <gtest/gtest.h>
#include <set>

#include "engine/engine.h"
#include "formats/gguf/testing.h"
#include "formats/open_model_file.h"
#include "tools/make_model/make_model.h"

namespace omg::model_maker {
namespace {

struct Behaviour {
  double deviation = 0;          // of the logits
  size_t different_choices = 0;  // greedy choices over the tokens fed
  size_t repetitions = 0;        // choices that are the token just fed
};

constexpr uint32_t kTokens = 48;

Behaviour behaviour_of(const Options& options) {
  const gguf::testing::TemporaryFolder folder;
  make_model(options, folder.file("m.gguf"));
  const ModelFile file = open_model_file(folder.file("m.gguf"));
  EngineOptions engine_options;
  engine_options.context_length = 64;
  engine_options.threads = 1;
  const auto engine = Engine::load(file, engine_options);
  std::vector<int32_t> tokens;
  for (uint32_t i = 0; i < kTokens; ++i) {
    tokens.push_back(static_cast<int32_t>(i * 37 % options.vocabulary));
  }
  const SequenceChunk chunk{engine->create_sequence(), tokens, kTokens};
  const auto logits = engine->step({&chunk, 1});
  Behaviour behaviour;
  std::set<int64_t> choices;
  double sum = 0, squares = 0;
  for (uint32_t i = 0; i < kTokens; ++i) {
    const auto row = logits.subspan(size_t{i} * options.vocabulary, options.vocabulary);
    const auto choice = std::max_element(row.begin(), row.end()) - row.begin();
    choices.insert(choice);
    behaviour.repetitions += choice == tokens[i];
    for (const float logit : row) {
      sum += logit;
      squares += double{logit} * logit;
    }
  }
  const auto count = static_cast<double>(logits.size());
  behaviour.deviation = std::sqrt(squares / count - sum / count * (sum / count));
  behaviour.different_choices = choices.size();
  return behaviour;
}

class Conditioning : public ::testing::TestWithParam<std::string_view> {};

TEST_P(Conditioning, LogitsLeaveAChoiceAtAnyDepth) {
  for (const bool is_deep : {false, true}) {
    Options options = preset(GetParam());
    options.feed_forward = 256;
    options.type = is_deep ? "F32" : "Q4_K_M";
    if (is_deep) options.layers = 32;
    SCOPED_TRACE(std::to_string(options.layers) + " layers");
    const Behaviour behaviour = behaviour_of(options);
    EXPECT_GT(behaviour.deviation, 1.0);
    EXPECT_LT(behaviour.deviation, 3.5);
    EXPECT_GT(behaviour.different_choices, kTokens / 3);
    EXPECT_LT(behaviour.repetitions, kTokens / 8);
  }
}

INSTANTIATE_TEST_SUITE_P(Families, Conditioning,
                         ::testing::Values("tiny-llama", "tiny-mixtral", "tiny-qwen2", "tiny-qwen3",
                                           "tiny-qwen3moe", "tiny-gemma2", "tiny-gemma3",
                                           "tiny-phi2", "tiny-phi3"),
                         [](const auto& test) { return std::string(test.param.substr(5)); });

}  // namespace
}  // namespace omg::model_maker
