// SPDX-License-Identifier: Apache-2.0
#include "clients/cli/arguments.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace omg::cli {
namespace {

/// One argument of each kind.
struct Everything {
  Everything() {
    arguments.positional("MODEL", model, "A model").required();
    Argument& text_argument = arguments.text("TEXT", text, "A text");
    arguments.option("-o,--output FILE", output, "A file").excludes(text_argument);
    arguments.option("--include GLOB", globs, "Files");
    arguments.option(
        "--pair A:B",
        [this](const std::string& given) {
          const size_t colon = given.find(':');
          if (colon == std::string::npos) throw Error(ErrorCode::kUsage, "no pair: " + given);
          left = given.substr(0, colon);
        },
        "Two words");
    arguments.choice("--type TYPE", type, {"f16", "f32"}, "A type").shows_default().group("Types");
    const Argument& limit_argument =
        arguments.number("-n,--limit N", limit, {1, 100}, "At most").shows_default();
    arguments.number("--offset N", offset, {-5, 5}, "Moved by").needs(limit_argument);
    json_argument = &arguments.flag("--json", json, "JSON");
    arguments.negated_flag("--no-stream", stream, "All at once");
    arguments.flag("--think[=LEVEL]", think, {"true", "low"}, "Think");
    arguments.footer("The end.");
  }

  bool parse(std::vector<std::string> words) { return arguments.parse(std::move(words)); }

  /// What is said of words that are wrong.
  std::string complaint(std::vector<std::string> words) {
    try {
      arguments.parse(std::move(words));
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUsage);
      return error.what();
    }
    return "none";
  }

  Arguments arguments{"omg do", "Does it"};
  std::string model, output, left, think;
  std::string type = "f16";
  std::vector<std::string> globs;
  std::optional<std::string> text;
  uint16_t limit = 20;
  std::optional<int> offset;
  bool json = false;
  bool stream = true;
  const Argument* json_argument = nullptr;
};

TEST(Arguments, KeepWhatTargetsHoldWhereNothingIsGiven) {
  Everything all;
  ASSERT_TRUE(all.parse({"llama"}));
  EXPECT_EQ(all.model, "llama");
  EXPECT_EQ(all.text, std::nullopt);
  EXPECT_EQ(all.type, "f16");
  EXPECT_EQ(all.limit, 20);
  EXPECT_EQ(all.offset, std::nullopt);
  EXPECT_TRUE(all.stream);
  EXPECT_EQ(all.think, "");
  EXPECT_FALSE(all.json_argument->is_given());
}

TEST(Arguments, SetAllKindsOfTargets) {
  Everything all;
  ASSERT_TRUE(
      all.parse({"-o", "f", "llama", "--include", "a", "--include=b", "--pair", "x:y", "--type",
                 "f32", "-n7", "--offset", "-3", "--json", "--no-stream", "--think"}));
  EXPECT_EQ(all.output, "f");
  EXPECT_EQ(all.globs, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(all.left, "x");
  EXPECT_EQ(all.type, "f32");
  EXPECT_EQ(all.limit, 7);
  EXPECT_EQ(all.offset, -3);
  EXPECT_TRUE(all.json);
  EXPECT_TRUE(all.json_argument->is_given());
  EXPECT_FALSE(all.stream);
  EXPECT_EQ(all.think, "true");
}

TEST(Arguments, ReadNumbersAsPeopleWriteThem) {
  Everything all;
  ASSERT_TRUE(all.parse({"llama", "-n", "010"}));
  EXPECT_EQ(all.limit, 10) << "not octal";
}

TEST(Arguments, TakeOneValueForEachOption) {
  Everything all;
  ASSERT_TRUE(all.parse({"--include", "*Q8*", "llama", "--think=low", "hello"}));
  EXPECT_EQ(all.globs, (std::vector<std::string>{"*Q8*"}));
  EXPECT_EQ(all.model, "llama");
  EXPECT_EQ(all.think, "low");
  EXPECT_EQ(all.text, "hello");
}

TEST(Arguments, JoinTheWordsOfAText) {
  const auto text_of = [](std::vector<std::string> words) {
    Everything all;
    EXPECT_TRUE(all.parse(std::move(words)));
    return all.text;
  };
  EXPECT_EQ(text_of({"llama", "why", "is", "[a, b]", "--json", "blue?"}), "why is [a, b] blue?");
  EXPECT_EQ(text_of({"llama", "--", "--json", "-x"}), "--json -x");
  EXPECT_EQ(text_of({"llama", "-5"}), "-5");
  EXPECT_EQ(text_of({"llama", ""}), "");
}

TEST(Arguments, SayWhatIsWrong) {
  Everything all;
  const std::string see = "; see 'omg do --help'";
  EXPECT_EQ(all.complaint({}), "MODEL is required" + see);
  EXPECT_EQ(all.complaint({"m", "-n"}), "--limit: 1 required UINT missing" + see);
  EXPECT_EQ(all.complaint({"m", "-n", "0"}),
            "--limit: '0' is not a whole number from 1 to 100" + see);
  EXPECT_EQ(all.complaint({"m", "-n", "99999999999999999999"}),
            "--limit: '99999999999999999999' is not a whole number from 1 to 100" + see);
  EXPECT_EQ(all.complaint({"m", "--type", "f64"}), "--type: f64 not in {f16,f32}" + see);
  EXPECT_EQ(all.complaint({"m", "--think=high"}), "--think: high not in {true,low}" + see);
  EXPECT_EQ(all.complaint({"m", "--offset", "1"}), "--offset requires --limit" + see);
  EXPECT_EQ(all.complaint({"m", "text", "-o", "f"}), "TEXT excludes --output" + see);
  EXPECT_EQ(all.complaint({"m", "-o", "f", "-o", "g"}),
            "--output: At Most 1 required but received 2" + see);
  EXPECT_EQ(all.complaint({"m", "--pair", "x"}), "no pair: x");
  EXPECT_EQ(all.complaint({"m", "text", "--bogus"}),
            "the option --bogus is not known; see 'omg do --help', and put '--' before a text like "
            "this");
}

TEST(Arguments, RefuseUnknownOptionsWithoutATextToo) {
  EXPECT_EQ(Everything().complaint({"m", "--bogus"}),
            "the option --bogus is not known; see 'omg do --help', and put '--' before a text like "
            "this");
  Arguments none("omg do", "Does it");
  EXPECT_THROW(none.parse({"word"}), Error);
  EXPECT_THROW(none.parse({"--bogus"}), Error);
}

TEST(Arguments, ShowHelp) {
  Everything all;
  EXPECT_FALSE(all.parse({"m", "--help"}));
  EXPECT_EQ(all.arguments.help(),
            "Does it.\n"
            "\n"
            "Usage: omg do MODEL [TEXT] [OPTIONS]\n"
            "\n"
            "Arguments:\n"
            "  MODEL                     A model\n"
            "  TEXT                      A text\n"
            "\n"
            "Options:\n"
            "  -h, --help                Show this help\n"
            "  -o, --output FILE         A file\n"
            "  --include GLOB            Files\n"
            "  --pair A:B                Two words\n"
            "  -n, --limit N             At most (default: 20)\n"
            "  --offset N                Moved by\n"
            "  --json                    JSON\n"
            "  --no-stream               All at once\n"
            "  --think[=LEVEL]           Think\n"
            "\n"
            "Types:\n"
            "  --type TYPE               A type (default: f16)\n"
            "\n"
            "The end.\n");
}

}  // namespace
}  // namespace omg::cli
