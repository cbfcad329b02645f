// SPDX-License-Identifier: Apache-2.0
//
// A plan says what loading then takes, for every family and type of cache.
#include "engine/memory_plan.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/error.h"
#include "engine/engine.h"
#include "formats/open_model_file.h"
#include "tools/make_model/make_model.h"

namespace omg {
namespace {

class MemoryPlanTest : public testing::TestWithParam<std::string_view> {
 protected:
  MemoryPlanTest()
      : path_(std::filesystem::temp_directory_path() /
              ("omg_plan_" + std::to_string(::getpid()) + ".gguf")) {}
  ~MemoryPlanTest() override { std::filesystem::remove(path_); }
  const std::filesystem::path path_;
};

TEST_P(MemoryPlanTest, IsWhatALoadTakes) {
  model_maker::make_model(model_maker::preset(GetParam()), path_);
  const ModelFile file = open_model_file(path_);
  for (const KvTypeName& kv : kKvTypes) {
    EngineOptions load;
    load.context_length = 64;
    load.kv_type = kv.type;
    load.threads = 2;
    load.max_batch_tokens = 128;
    load.max_sequences = 3;
    load.kv_capacity_tokens = 70;
    MemoryPlanOptions options;
    options.kv_type = kv.type;
    options.threads = load.threads;
    options.max_batch_tokens = load.max_batch_tokens;
    options.max_sequences = load.max_sequences;
    const MemoryPlan plan = plan_memory(file, options);
    const MemoryUse use = Engine::load(file, load)->memory_use();
    EXPECT_EQ(plan.weights_bytes, use.weights_bytes) << kv.name;
    EXPECT_EQ(plan.scratch_bytes, use.scratch_bytes) << kv.name;
    EXPECT_EQ(plan.kv_bytes_per_token * 96, use.kv_bytes) << kv.name;  // whole blocks
    EXPECT_EQ(plan.total_bytes(96), use.weights_bytes + use.scratch_bytes + use.kv_bytes);
  }
}

std::vector<std::string_view> tiny_presets() {
  std::vector<std::string_view> names = model_maker::preset_names();
  std::erase_if(names, [](std::string_view name) { return !name.starts_with("tiny-"); });
  return names;
}

INSTANTIATE_TEST_SUITE_P(
    Families, MemoryPlanTest, testing::ValuesIn(tiny_presets()), [](const auto& test) {
      std::string name(test.param);
      std::replace_if(name.begin(), name.end(), [](char c) { return !std::isalnum(c); }, '_');
      return name;
    });

}  // namespace
}  // namespace omg
