// SPDX-License-Identifier: Apache-2.0
#include "base/near_names.h"

#include <gtest/gtest.h>

namespace omg {
namespace {

TEST(NearNames, FindsWhatWasMeant) {
  const std::vector<std::string> names = {"llama3", "llama3.1", "llama3.2:1b",
                                          "gemma2", "mistral",  "mixtral"};
  EXPECT_EQ(near_names("lama3", names).at(0), "llama3");
  EXPECT_EQ(near_names("Mistarl", names).at(0), "mistral");
  EXPECT_EQ(near_names("llama3.2", names).at(0), "llama3.2:1b");
  EXPECT_TRUE(near_names("something-else-altogether", names).empty());
  EXPECT_TRUE(near_names("", names).empty());
  EXPECT_LE(near_names("llama", names, 2).size(), 2u);
  EXPECT_EQ(did_you_mean({}), "");
  EXPECT_EQ(did_you_mean({"a", "b", "c"}), "; did you mean a, b or c?");
}

}  // namespace
}  // namespace omg
