// SPDX-License-Identifier: Apache-2.0
//
// The stopwatch, what it counts, and the limits that it is held against.
#include "engine/profile.h"

#include <gtest/gtest.h>
#include <set>
#include <thread>

#include "engine/cpu/cpu_work.h"
#include "engine/cpu/machine_limits.h"
#include "engine/cpu/profiler.h"
#include "engine/cpu/thread_pool.h"

namespace omg {
namespace {

const OperationProfile& of(const PhaseProfile& phase, Operation operation) {
  return phase.operations[static_cast<size_t>(operation)];
}

TEST(Profile, EveryOperationHasItsName) {
  std::set<std::string_view> names;
  for (size_t i = 0; i < kOperations; ++i) names.insert(operation_name(static_cast<Operation>(i)));
  EXPECT_EQ(names.size(), kOperations);
  EXPECT_FALSE(names.contains(""));
}

TEST(Profile, TensorsTellTheOperation) {
  EXPECT_EQ(operation_of_tensor("blk.0.attn_q.weight"), Operation::kQkv);
  EXPECT_EQ(operation_of_tensor("blk.0.attn_qkv.weight"), Operation::kQkv);
  EXPECT_EQ(operation_of_tensor("blk.11.attn_output.weight"), Operation::kAttentionOut);
  EXPECT_EQ(operation_of_tensor("blk.0.ffn_gate_inp.weight"), Operation::kRouter);
  EXPECT_EQ(operation_of_tensor("blk.0.ffn_gate_exps.weight"), Operation::kGateUp);
  EXPECT_EQ(operation_of_tensor("blk.0.ffn_up.weight"), Operation::kGateUp);
  EXPECT_EQ(operation_of_tensor("blk.0.ffn_down.weight"), Operation::kDown);
  EXPECT_EQ(operation_of_tensor("output.weight"), Operation::kHead);
  EXPECT_EQ(operation_of_tensor("token_embd.weight"), Operation::kHead);
}

TEST(Profile, TheNearestLimitCounts) {
  const MachineLimits limits{100, 1000, 10};
  EXPECT_DOUBLE_EQ((Work{50, 0, 0}.least_seconds(limits)), 0.5);
  EXPECT_DOUBLE_EQ((Work{50, 2000, 0}.least_seconds(limits)), 2);
  EXPECT_DOUBLE_EQ((Work{50, 2000, 30}.least_seconds(limits)), 5);
  EXPECT_DOUBLE_EQ((Work{50, 2000, 30}.least_seconds(MachineLimits{})), 0);
}

TEST(Profiler, KeepsPhasesApartAndCountsNestedTimeOnce) {
  const auto wait = [] { std::this_thread::sleep_for(std::chrono::milliseconds(5)); };
  Profiler profiler({1, 2, 3});
  profiler.begin_step(/*is_prompt=*/true, 7);
  {
    const Timed outer(&profiler, Operation::kDown, [] { return Work{10, 20, 0}; });
    wait();
    const Timed inner(&profiler, Operation::kQuantize, [] { return Work{1, 0, 2}; });
    wait();
  }
  profiler.begin_step(/*is_prompt=*/false, 1);
  {
    const Timed timed(&profiler, Operation::kDown, [] { return Work{10, 20, 0}; });
  }

  const Profile& profile = profiler.profile();
  EXPECT_EQ(profile.limits.int8_ops_per_second, 2);
  EXPECT_EQ(profile.prompt.steps, 1u);
  EXPECT_EQ(profile.prompt.tokens, 7u);
  const auto& down = of(profile.prompt, Operation::kDown);
  const auto& quantize = of(profile.prompt, Operation::kQuantize);
  EXPECT_EQ(down.calls, 1u);
  EXPECT_EQ(down.work.int8_ops, 20);
  EXPECT_EQ(quantize.work.float_ops, 2);
  EXPECT_GE(down.seconds, 0.004);
  EXPECT_GE(quantize.seconds, 0.004);
  EXPECT_NEAR(down.seconds + quantize.seconds, profile.prompt.seconds, 1e-3);
  EXPECT_EQ(of(profile.generation, Operation::kDown).calls, 1u);
  EXPECT_EQ(of(profile.generation, Operation::kQuantize).calls, 0u);
  EXPECT_LT(profile.generation.seconds, profile.prompt.seconds);
}

TEST(Profiler, WithoutOneNoWorkIsCounted) {
  bool asked = false;
  {
    const Timed timed(nullptr, Operation::kNorm, [&] { return asked = true, Work{}; });
  }
  EXPECT_FALSE(asked);
}

TEST(Profiler, RecoversFromAStepThatFailed) {
  Profiler profiler({});
  for (int i = 0; i < 10; ++i) {  // more than may stand inside each other
    profiler.begin_step(true, 1);
    profiler.enter(Operation::kNorm, {});
  }
  EXPECT_EQ(of(profiler.profile().prompt, Operation::kNorm).calls, 10u);
}

TEST(Work, AttentionCountsWhatIsSeen) {
  DecoderSpec spec;
  spec.heads = 4;
  spec.kv_heads = 2;
  spec.key_length = 8;
  spec.value_length = 8;
  Step step;
  step.parts.push_back({0, 3, 10, {}});  // sees 11, 12 and 13 positions
  EXPECT_DOUBLE_EQ(attention_work(step, spec, 2 * 16 * 2, 0).float_ops, 2.0 * 36 * 4 * 16);
  EXPECT_DOUBLE_EQ(attention_work(step, spec, 2 * 16 * 2, 0).bytes,
                   13 * 2 * 16 * 2 + 3 * 4 * 16 * 4);
  EXPECT_DOUBLE_EQ(attention_work(step, spec, 2 * 16 * 2, 5).float_ops, 2.0 * 15 * 4 * 16);
  EXPECT_DOUBLE_EQ(attention_work(step, spec, 2 * 16 * 2, 5).bytes,
                   7 * 2 * 16 * 2 + 3 * 4 * 16 * 4);
}

TEST(MachineLimits, AreMeasured) {
  ThreadPool pool(2);
  for (const IsaInfo& info : isa_table()) {
    if (!isa_is_supported(info.isa)) continue;
    const MachineLimits limits = measure_machine_limits(info.isa, pool);
    EXPECT_GT(limits.read_bytes_per_second, 1e7) << info.name;
    if (info.isa == Isa::kScalar) continue;  // its loops would be the compiler's choice
    EXPECT_GT(limits.float_ops_per_second, 1e8) << info.name;
    if (info.isa == Isa::kNeon) continue;  // it has no dot product
    EXPECT_GT(limits.int8_ops_per_second, 1e8) << info.name;
  }
}

}  // namespace
}  // namespace omg
