// SPDX-License-Identifier: Apache-2.0
#include "formats/weight_mixture.h"

#include <gtest/gtest.h>
#include <string>

namespace omg {
namespace {

std::string type_name(std::string_view mixture, const MixtureModel& model, std::string_view tensor,
                      uint64_t row = 2048, uint32_t rank = 2, bool pure = false) {
  const auto found = WeightMixture::from_name(mixture, pure);
  return std::string(info(found->type_of(model, tensor, rank, row)).name);
}

TEST(WeightMixture, NamesAreKnownInAnyCase) {
  EXPECT_EQ(WeightMixture::from_name("q4_k_m")->name(), "Q4_K_M");
  EXPECT_EQ(WeightMixture::from_name("Q4_K_M")->file_type(), 15u);
  EXPECT_FALSE(WeightMixture::from_name("Q4_K_XXL"));
  EXPECT_FALSE(WeightMixture::from_name(""));
  for (const auto name : WeightMixture::names()) EXPECT_TRUE(WeightMixture::from_name(name));
  for (const auto& type : weight_types()) EXPECT_TRUE(WeightMixture::from_name(type.name));
}

TEST(WeightMixture, VectorsNormsAndRoutersStayF32) {
  const MixtureModel model{16, 8, false};
  for (const auto name : WeightMixture::names()) {
    EXPECT_EQ(type_name(name, model, "blk.0.attn_norm.weight", 2048, 1), "F32");
    EXPECT_EQ(type_name(name, model, "blk.0.attn_q_norm.weight", 64, 2), "F32");
    EXPECT_EQ(type_name(name, model, "blk.0.attn_q.bias", 2048, 1), "F32");
    EXPECT_EQ(type_name(name, model, "rope_freqs.weight", 32, 1), "F32");
    EXPECT_EQ(type_name(name, model, "blk.0.ffn_gate_inp.weight"), "F32");
  }
}

// The pattern of a published Llama-3.2-1B Q4_K_M: 16 layers, Q6_K in these.
TEST(WeightMixture, SensitiveLayersOfQ4_K_M) {
  const MixtureModel model{16, 0, true};
  std::string v, down, query;
  for (int i = 0; i < 16; ++i) {
    const std::string layer = "blk." + std::to_string(i);
    v += type_name("Q4_K_M", model, layer + ".attn_v.weight")[1];
    down += type_name("Q4_K_M", model, layer + ".ffn_down.weight")[1];
    query += type_name("Q4_K_M", model, layer + ".attn_q.weight")[1];
  }
  EXPECT_EQ(v, "6644644644644666");
  EXPECT_EQ(down, v);
  EXPECT_EQ(query, "4444444444444444");
  EXPECT_EQ(type_name("Q4_K_M", model, "token_embd.weight"), "Q6_K");
  EXPECT_EQ(type_name("Q4_K_M", {16, 0, false}, "token_embd.weight"), "Q4_K");
  EXPECT_EQ(type_name("Q4_K_M", {16, 0, false}, "output.weight"), "Q6_K");
  EXPECT_EQ(type_name("Q4_K_M", model, "blk.15.attn_qkv.weight"), "Q6_K");
}

TEST(WeightMixture, OtherMixtures) {
  const MixtureModel model{32, 0, false};
  EXPECT_EQ(type_name("Q4_K_S", model, "blk.3.attn_v.weight"), "Q5_K");
  EXPECT_EQ(type_name("Q4_K_S", model, "blk.4.attn_v.weight"), "Q4_K");
  EXPECT_EQ(type_name("Q4_K_S", model, "blk.3.ffn_down.weight"), "Q5_K");
  EXPECT_EQ(type_name("Q4_K_S", model, "blk.4.ffn_down.weight"), "Q4_K");
  EXPECT_EQ(type_name("Q5_K_M", model, "blk.31.ffn_down.weight"), "Q6_K");
  EXPECT_EQ(type_name("Q5_K_S", model, "blk.31.ffn_down.weight"), "Q5_K");
  EXPECT_EQ(type_name("Q3_K_M", model, "blk.1.attn_v.weight"), "Q5_K");
  EXPECT_EQ(type_name("Q3_K_M", model, "blk.2.ffn_down.weight"), "Q4_K");
  EXPECT_EQ(type_name("Q3_K_L", model, "blk.9.attn_output.weight"), "Q5_K");
  EXPECT_EQ(type_name("Q3_K_S", model, "blk.9.attn_output.weight"), "Q3_K");
  EXPECT_EQ(type_name("Q8_0", model, "output.weight"), "Q8_0");
  EXPECT_EQ(type_name("F16", model, "output.weight"), "F16");
  EXPECT_EQ(type_name("Q4_0", model, "output.weight"), "Q6_K");
  EXPECT_EQ(type_name("Q4_0", model, "output.weight", 2048, 2, true), "Q4_0");
}

TEST(WeightMixture, Experts) {
  const MixtureModel eight{32, 8, false};
  EXPECT_EQ(type_name("Q4_K_M", eight, "blk.9.attn_k.weight"), "Q8_0");
  EXPECT_EQ(type_name("Q4_K_M", eight, "blk.9.attn_v.weight"), "Q8_0");
  EXPECT_EQ(type_name("Q4_K_M", eight, "blk.9.attn_output.weight"), "Q5_K");
  EXPECT_EQ(type_name("Q6_K", eight, "blk.9.attn_output.weight"), "Q6_K");
  EXPECT_EQ(type_name("Q4_K_M", eight, "blk.0.ffn_down_exps.weight", 2048, 3), "Q6_K");
  EXPECT_EQ(type_name("MXFP4_MOE", eight, "blk.0.ffn_down_exps.weight", 2048, 3), "MXFP4");
  EXPECT_EQ(type_name("MXFP4_MOE", eight, "blk.0.attn_q.weight"), "Q8_0");
  EXPECT_EQ(type_name("MXFP4_MOE", eight, "output.weight"), "Q8_0");
}

// Qwen2.5-0.5B has rows of 896 = 3.5 blocks of 256.
TEST(WeightMixture, RowsThatDoNotFitFallBack) {
  const MixtureModel model{24, 0, true};
  EXPECT_EQ(type_name("Q4_K_M", model, "blk.7.attn_q.weight", 896), "Q5_0");
  EXPECT_EQ(type_name("Q5_K_M", model, "blk.7.attn_q.weight", 896), "Q5_1");
  EXPECT_EQ(type_name("Q4_K_M", model, "blk.0.attn_v.weight", 896), "Q8_0");
  EXPECT_EQ(type_name("Q4_K_M", model, "token_embd.weight", 896), "Q8_0");
  EXPECT_EQ(type_name("Q3_K_S", model, "blk.7.attn_q.weight", 896), "Q4_0");
  EXPECT_EQ(type_name("IQ4_XS", model, "blk.7.attn_q.weight", 896), "IQ4_NL");
  EXPECT_EQ(type_name("Q4_K_M", model, "blk.7.attn_q.weight", 100), "F16");
  EXPECT_EQ(type_name("Q8_0", model, "blk.7.attn_q.weight", 100, 2, true), "F16");
}

}  // namespace
}  // namespace omg
