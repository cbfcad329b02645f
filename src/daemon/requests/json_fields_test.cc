// SPDX-License-Identifier: Apache-2.0
#include "daemon/requests/json_fields.h"

#include <gtest/gtest.h>
#include <limits>

namespace omg {
namespace {

using Kind = FieldError::Kind;

struct Failure {
  Kind kind = Kind::kMissing;
  std::string field;
  std::string message;
};

/// What `read` throws; fails the test when it throws nothing.
template <typename Read>
Failure failure_of(Read read) {
  try {
    read();
  } catch (const FieldError& error) {
    EXPECT_EQ(error.code(), error.kind() == Kind::kUnsupported ? ErrorCode::kUnsupported
                                                               : ErrorCode::kInvalidArgument);
    return {error.kind(), error.field(), error.what()};
  }
  ADD_FAILURE() << "nothing was thrown";
  return {};
}

TEST(JsonFields, ReadsWhatIsThere) {
  const json::object object =
      parse_body(R"({"b":true,"i":3,"f":3.0,"e":-2e2,"n":0.5,"s":"x","c":"two",)"
                 R"("l":["a","b"],"o":{"in":[1]}})");
  JsonFields fields(object);
  EXPECT_EQ(fields.boolean("b"), true);
  EXPECT_EQ(fields.integer("i", 0, 5), 3);
  EXPECT_EQ(fields.integer("f", 0, 5), 3);
  EXPECT_EQ(fields.integer("e", -200, 5), -200);
  EXPECT_EQ(fields.number("n", 0, 1), 0.5);
  EXPECT_EQ(fields.number("i", 3, 3), 3.0);
  EXPECT_EQ(fields.required_string("s"), "x");
  EXPECT_EQ(fields.choice("c", {"one", "two"}), "two");
  EXPECT_EQ(fields.strings("l", 2), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(fields.strings("s", 2), (std::vector<std::string>{"x"}));
  JsonFields inner = fields.required_fields("o");
  EXPECT_EQ(inner.required_array("in").size(), 1u);
  EXPECT_EQ(inner.path_of("in"), "o.in");
  inner.finish();
  fields.finish();
}

TEST(JsonFields, AbsentAndNullAreTheSame) {
  const json::object object = parse_body(R"({"x":null})");
  for (const char* name : {"x", "y"}) {
    JsonFields fields(object);
    EXPECT_FALSE(fields.has(name));
    EXPECT_EQ(fields.boolean(name), std::nullopt);
    EXPECT_EQ(fields.integer(name, 0, 1), std::nullopt);
    EXPECT_EQ(fields.number(name, 0, 1), std::nullopt);
    EXPECT_EQ(fields.string(name), std::nullopt);
    EXPECT_EQ(fields.choice(name, {"a"}), std::nullopt);
    EXPECT_TRUE(fields.strings(name, 1).empty());
    EXPECT_EQ(fields.array(name), nullptr);
    EXPECT_EQ(fields.object(name), nullptr);
    EXPECT_EQ(fields.value(name), nullptr);
    EXPECT_FALSE(fields.fields(name).has_value());
    const Failure failure = failure_of([&] { fields.required(name); });
    EXPECT_EQ(failure.kind, Kind::kMissing);
    EXPECT_EQ(failure.field, name);
    EXPECT_EQ(failure.message, std::string(name) + " is required");
  }
}

TEST(JsonFields, NamesFieldAndReason) {
  const json::object object = parse_body(
      R"({"s":"x","i":1.5,"big":18446744073709551615,"huge":1e300,"inf":1e999999,"l":["a",1],)"
      R"("o":{"s":1}})");
  JsonFields fields(object);
  const auto check = [&](auto read, Kind kind, const char* field, const char* message) {
    const Failure failure = failure_of(read);
    EXPECT_EQ(failure.kind, kind) << message;
    EXPECT_EQ(failure.field, field);
    EXPECT_EQ(failure.message, message);
  };
  check([&] { fields.boolean("s"); }, Kind::kWrongType, "s",
        "s must be true or false, not a string");
  check([&] { fields.integer("s", 0, 1); }, Kind::kWrongType, "s",
        "s must be a whole number, not a string");
  check([&] { fields.integer("i", 0, 9); }, Kind::kWrongValue, "i",
        "i cannot be 1.5: it is a whole number from 0 to 9");
  check([&] { fields.integer("big", 0, INT64_MAX); }, Kind::kWrongValue, "big",
        "big cannot be 18446744073709551615: it is a whole number from 0 to 9223372036854775807");
  EXPECT_EQ(failure_of([&] { fields.integer("huge", 0, INT64_MAX); }).kind, Kind::kWrongValue);
  EXPECT_EQ(failure_of([&] { fields.number("inf", 0, 1e308); }).kind, Kind::kWrongValue);
  check([&] { fields.number("i", 2, 3); }, Kind::kWrongValue, "i",
        "i cannot be 1.5: it is a number from 2 to 3");
  check([&] { fields.string("i"); }, Kind::kWrongType, "i", "i must be a string, not a number");
  check([&] { fields.choice("s", {"a", "b"}); }, Kind::kWrongValue, "s",
        "s cannot be 'x': it is one of 'a', 'b'");
  check([&] { fields.strings("l", 4); }, Kind::kWrongType, "l[1]",
        "l[1] must be a string, not a number");
  check([&] { fields.strings("l", 1); }, Kind::kWrongValue, "l",
        "l has 2 entries, and at most 1 are taken");
  check([&] { fields.strings("o", 1); }, Kind::kWrongType, "o",
        "o must be a string or an array of strings, not an object");
  check([&] { fields.array("o"); }, Kind::kWrongType, "o", "o must be an array, not an object");
  check([&] { fields.object("l"); }, Kind::kWrongType, "l", "l must be an object, not an array");
  check([&] { fields.required_fields("o").string("s"); }, Kind::kWrongType, "o.s",
        "o.s must be a string, not a number");
  check([&] { JsonFields::of(object.at("s"), "tools[0]"); }, Kind::kWrongType, "tools[0]",
        "tools[0] must be an object, not a string");
}

TEST(JsonFields, NamesWhatNobodyRead) {
  const json::object object = parse_body(R"({"a":1,"b":2,"c":null,"o":{"d":1}})");
  JsonFields fields(object);
  fields.value("a");
  JsonFields inner = fields.required_fields("o");
  EXPECT_EQ(inner.unread(), std::vector<std::string>{"o.d"});
  EXPECT_EQ(fields.unread(), (std::vector<std::string>{"b", "c"}));
  const Failure failure = failure_of([&] { fields.finish(); });
  EXPECT_EQ(failure.kind, Kind::kUnsupported);
  EXPECT_EQ(failure.field, "b");
  EXPECT_EQ(failure.message, "'b', 'c' are not supported here; leave them out");
  fields.skip("b");
  fields.skip("c");
  fields.finish();

  json::object many;
  for (int i = 0; i < 20; ++i) many[std::string(100, static_cast<char>('a' + i))] = i;
  const std::string message = failure_of([&] { JsonFields(many).finish(); }).message;
  EXPECT_LT(message.size(), 800u);
  EXPECT_NE(message.find("and 12 more are not supported"), std::string::npos) << message;
}

TEST(JsonFields, BodiesAreObjects) {
  const auto kind = [](std::string_view body) {
    return failure_of([&] { parse_body(body); }).kind;
  };
  EXPECT_EQ(kind(""), Kind::kMissing);
  EXPECT_EQ(kind(" \n"), Kind::kMissing);
  EXPECT_EQ(kind("[]"), Kind::kWrongType);
  EXPECT_EQ(kind("null"), Kind::kWrongType);
  EXPECT_EQ(kind("{"), Kind::kWrongValue);
  EXPECT_EQ(kind("{}{}"), Kind::kWrongValue);
  EXPECT_EQ(kind("{\"a\":NaN}"), Kind::kWrongValue);
  EXPECT_EQ(kind("{\"a\":\"\xff\"}"), Kind::kWrongValue);
  EXPECT_EQ(kind("{\"a\":\"\\ud800\"}"), Kind::kWrongValue);
  EXPECT_EQ(kind("{\"a\":" + std::string(1000, '[') + std::string(1000, ']') + "}"),
            Kind::kWrongValue);
  EXPECT_TRUE(parse_body("{}").empty());
}

TEST(JsonFields, ShortensBetweenCharacters) {
  EXPECT_EQ(shortened("abc", 3), "abc");
  EXPECT_EQ(shortened("abcd", 3), "abc…");
  EXPECT_EQ(shortened("aä€", 2), "a…");
  EXPECT_EQ(shortened("aä€", 5), "aä…");
  EXPECT_EQ(shortened("aä€", 6), "aä€");
}

}  // namespace
}  // namespace omg
