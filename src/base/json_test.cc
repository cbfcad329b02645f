// SPDX-License-Identifier: Apache-2.0
#include "base/json.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace omg {
namespace {

ErrorCode code_of(std::string_view text, const JsonLimits& limits = {}) {
  try {
    parse_json(text, "input", limits);
  } catch (const Error& error) {
    return error.code();
  }
  ADD_FAILURE() << "no error for " << text;
  return ErrorCode::kInternal;
}

TEST(Json, KeepsKeyOrder) {
  auto value = parse_json(R"({"z":1,"a":[true,null,"x"],"m":1.5})", "input");
  EXPECT_EQ(json::serialize(value.as_object()["a"]), R"([true,null,"x"])");
  EXPECT_EQ(value.as_object().begin()->key(), "z");
}

TEST(Json, RefusesWhatIsNotOneDocument) {
  for (const char* bad :
       {"", " ", "{", "{} x", "[1,]", "'a'", "{\"a\":1,}", "nul", "\"\\ud800", "1 2"}) {
    EXPECT_EQ(code_of(bad), ErrorCode::kInvalidArgument) << bad;
  }
}

TEST(Json, HasLimits) {
  EXPECT_EQ(code_of(std::string(300, '[') + std::string(300, ']')), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of("[1,2,3]", {.max_bytes = 3}), ErrorCode::kLimitExceeded);
}

TEST(Json, MissingFileIsNotFound) {
  try {
    parse_json_file("/nowhere/at/all.json");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kNotFound);
  }
}

}  // namespace
}  // namespace omg
