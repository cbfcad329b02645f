// SPDX-License-Identifier: Apache-2.0
#include "base/model_file_name.h"

#include <gtest/gtest.h>

namespace omg {
namespace {

TEST(ModelFileName, TellsTheQuantization) {
  EXPECT_EQ(quantization_in_name("gemma-2-2b-it-Q4_K_M.gguf"), "Q4_K_M");
  EXPECT_EQ(quantization_in_name("qwen2.5-7b-instruct-q4_k_m-00001-of-00002.gguf"), "Q4_K_M");
  EXPECT_EQ(quantization_in_name("codellama-7b.Q5_0.gguf"), "Q5_0");
  EXPECT_EQ(quantization_in_name("Phi-3-mini-4k-instruct-fp16.gguf"), "F16");
  EXPECT_EQ(quantization_in_name("model-BF16.gguf"), "BF16");
  EXPECT_EQ(quantization_in_name("gpt-oss-20b-mxfp4.gguf"), "MXFP4");
  EXPECT_EQ(quantization_in_name("x-UD-Q4_K_XL.gguf"), "UD-Q4_K_XL");
  EXPECT_EQ(quantization_in_name("x.i1-IQ2_XXS.gguf"), "IQ2_XXS");
  EXPECT_EQ(quantization_in_name("x-TQ1_0.gguf"), "TQ1_0");
  EXPECT_EQ(quantization_in_name("Q8_0/model-00001-of-00003.gguf"), "Q8_0");
  EXPECT_EQ(quantization_in_name("a/Q8_0/x/model.gguf"), "");
  EXPECT_EQ(quantization_in_name("model.gguf"), "");
  EXPECT_EQ(quantization_in_name("Q-model-7B.gguf"), "");
  EXPECT_EQ(quantization_in_name("Llama-3.2-1B-Instruct-Q4_K_M.gguf"), "Q4_K_M");
  EXPECT_EQ(quantization_in_name("tinyllama.Q4_0.gguf"), "Q4_0");
  EXPECT_EQ(quantization_in_name("qwen2.5-0.5b-instruct-q8_0.gguf"), "Q8_0");
  EXPECT_EQ(quantization_in_name("x/Model-Q2_K_L-00001-of-00002.gguf"), "Q2_K_L");
  EXPECT_EQ(quantization_in_name("model-IQ2_XXS.gguf"), "IQ2_XXS");
  EXPECT_EQ(quantization_in_name("Model-UD-Q4_K_XL.gguf"), "UD-Q4_K_XL");
  EXPECT_EQ(quantization_in_name("model-f16.gguf"), "F16");
  EXPECT_EQ(quantization_in_name("BF16/model-BF16.gguf"), "BF16");
  EXPECT_EQ(quantization_in_name("q4_0-model-q5_1.gguf"), "Q5_1") << "the last counts";
  EXPECT_EQ(quantization_in_name("stories260K.gguf"), "");
  EXPECT_EQ(quantization_in_name("xq4_0.gguf"), "");
}

TEST(SplitName, IsReadExactly) {
  const auto split = parse_split_name("a/model-00002-of-00010.gguf");
  ASSERT_TRUE(split);
  EXPECT_EQ(split->stem, "a/model");
  EXPECT_EQ(split->part, 2u);
  EXPECT_EQ(split->parts, 10u);
  for (const char* name :
       {"model.gguf", "-00001-of-00002", "m-00003-of-00002.gguf", "m-00000-of-00002.gguf",
        "m-0001-of-0002.gguf", "m-00001-of-0000x.gguf", "m-00001_of_00002.gguf", ""}) {
    EXPECT_FALSE(parse_split_name(name)) << name;
  }
}

}  // namespace
}  // namespace omg
