// SPDX-License-Identifier: Apache-2.0
#include "text/tools/values.h"

#include <gtest/gtest.h>
#include <random>

#include "text/tools/json_scanner.h"
#include "text/tools/marker.h"
#include "text/tools/tag_text.h"

namespace omg {
namespace {

using Status = JsonScanner::Status;

/// Bytes until the document is done; 0 where it is none.
size_t scan(std::string_view text) {
  JsonScanner scanner;
  for (size_t i = 0; i < text.size(); ++i) {
    const Status status = scanner.push(text[i]);
    if (status == Status::kDone) return i + 1;
    if (status == Status::kError) return 0;
  }
  return 0;
}

TEST(JsonScanner, AcceptsWhatIsJson) {
  for (const char* text :
       {"{}", "[]", R"({"a": [1, -0.5e+3, true, false, null, "x\u00e9\"\\"], "b": {}})", "[[[]]]",
        "[0, 10, 1E5, -1]", "{\"a\":\"\n\"}"}) {
    EXPECT_EQ(scan(text), std::string_view(text).size()) << text;
  }
  EXPECT_EQ(scan("{} more"), 2u);
}

TEST(JsonScanner, RefusesWhatIsNot) {
  for (const char* text : {"",           "1",      "\"a\"", "{",    "[1,]",      "{\"a\"}",
                           "{\"a\":}",   "{a:1}",  "[01]",  "[1.]", "[-]",       "[1e]",
                           "[tru]",      "[nulL]", "[1 2]", "{]",   "[\"\\x\"]", "[\"\\u12g4\"]",
                           "{\"a\":1,}", "[+1]",   "[.5]",  "['a']"}) {
    EXPECT_EQ(scan(text), 0u) << text;
  }
  EXPECT_EQ(scan(std::string(JsonScanner::kMaxDepth + 1, '[')), 0u);
}

TEST(JsonScanner, AgreesWithTheParserOnRandomChanges) {
  std::mt19937 random(1);
  const std::string base = R"({"a": [1, -2.5e3, true, null, "x\n\u00e9"], "b": {"c": []}})";
  constexpr std::string_view kBytes = "{}[]\",:0123456789.eE+-truefalsn\\u \n";
  for (int i = 0; i < 20'000; ++i) {
    std::string text = base;
    for (int change = static_cast<int>(random() % 3); change >= 0; --change) {
      const size_t at = random() % text.size();
      const char byte = kBytes[random() % kBytes.size()];
      if (random() % 2 == 0) {
        text[at] = byte;
      } else {
        text.insert(at, 1, byte);
      }
    }
    if (text.find('\n') != std::string::npos) continue;  // let through inside strings
    const std::string_view document = trim_space(text);
    const bool is_container = document.starts_with('{') || document.starts_with('[');
    EXPECT_EQ(scan(document) == document.size(), is_json(document) && is_container) << text;
  }
}

TEST(Values, DeclaredTypesDecide) {
  const ToolSchemas schemas(
      parse_json(R"([{"type": "function", "function": {"name": "f", "parameters": {"properties": {
        "s": {"type": "string"}, "n": {"type": "number"}, "b": {"type": "boolean"},
        "o": {"type": "object"}, "l": {"type": "array"}, "sn": {"type": ["string", "null"]},
        "any": {}, "e": {"enum": ["1", "2"]}, "u": {"anyOf": [{"type": "integer"},
        {"type": "string"}]}}}}}, {"name": "g"}, 5, {"function": 5}])",
                 "tools")
          .as_array());
  EXPECT_TRUE(schemas.declares("f"));
  EXPECT_TRUE(schemas.declares("g"));
  EXPECT_FALSE(schemas.declares("h"));
  const auto typed = [&](const char* key, const char* raw) { return schemas.typed("f", key, raw); };
  EXPECT_EQ(typed("s", "42"), "\"42\"");
  EXPECT_EQ(typed("s", "{\"a\": 1}"), R"("{\"a\": 1}")");
  EXPECT_EQ(typed("s", " a\n"), R"(" a\n")");
  EXPECT_EQ(typed("n", " 4.20 "), "4.20");  // as it was written
  EXPECT_EQ(typed("n", "four"), "\"four\"");
  EXPECT_EQ(typed("b", "True"), "true");
  EXPECT_EQ(typed("b", "1"), "\"1\"");
  EXPECT_EQ(typed("o", "{'a': None, \"b\": (1, 2)}"), R"({"a": null, "b": [1, 2]})");
  EXPECT_EQ(typed("l", "[1,2]"), "[1,2]");
  EXPECT_EQ(typed("sn", "null"), "null");
  EXPECT_EQ(typed("sn", "5"), "\"5\"");
  EXPECT_EQ(typed("e", "1"), "\"1\"");
  EXPECT_EQ(typed("u", "1"), "1");
  EXPECT_EQ(typed("u", "x"), "\"x\"");
  for (const char* key : {"any", "undeclared"}) {
    EXPECT_EQ(typed(key, "5"), "5");
    EXPECT_EQ(typed(key, "\"x\""), R"("\"x\"")");
    EXPECT_EQ(typed(key, "x y"), "\"x y\"");
  }
}

TEST(Values, PythonCalls) {
  const auto read = [](std::string_view text) {
    size_t at = 0;
    std::string name;
    std::string arguments;
    if (!read_python_call(text, at, name, arguments) || at != text.size()) return std::string("-");
    return name + arguments;
  };
  EXPECT_EQ(read("f()"), "f{}");
  EXPECT_EQ(read("a.b(x = 1, y=[True, None, -2.5], z={'k': \"v\"},)"),
            R"(a.b{"x": 1, "y": [true, null, -2.5], "z": {"k": "v"}})");
  EXPECT_EQ(read(R"(f(x='it\'s', y="\u00e9\x41\n\q"))"), R"(f{"x": "it's", "y": "éA\n\\q"})");
  EXPECT_EQ(read(R"(f(x='it's fine'))"), R"(f{"x": "it's fine"})");
  EXPECT_EQ(read(R"(f(x="\ud83d\ude42"))"), "f{\"x\": \"🙂\"}");
  for (const char* text : {"f(", "f(1)", "f(x=)", "f(x=y)", "(x=1)", "f(x='a)", "f(x=1 y=2)",
                           "f(x=01)", "f(x='\\u12')"}) {
    EXPECT_EQ(read(text), "-") << text;
  }
}

TEST(Values, QuotesOfItsOwn) {
  size_t at = 0;
  std::string json;
  EXPECT_TRUE(read_loose_value("{a:<|\"|>x 'y' }<|\"|>,b-c:[1,true,None]}",
                               {"<|\"|>", /*bare_keys=*/true}, at, json));
  EXPECT_EQ(json, R"({"a": "x 'y' }", "b-c": [1, true, null]})");
}

TEST(Marker, WhiteSpaceInsideIsFree) {
  const auto length = [](std::string_view marker, std::string_view text) {
    const MarkerMatch match = match_marker(marker, text, false);
    return match.match == Match::kFull      ? static_cast<int>(match.length)
           : match.match == Match::kPartial ? -1
                                            : 0;
  };
  EXPECT_EQ(length("<a>\n<b>", "<a><b>x"), 6);
  EXPECT_EQ(length("<a>\n<b>", "<a> \n\t<b>x"), 9);
  EXPECT_EQ(length("<a>\n<b>", "<a> \n"), -1);
  EXPECT_EQ(length("<a>\n<b>", "<a>x"), 0);
  EXPECT_EQ(length("<a>\n<b>", "<a>" + std::string(100, ' ') + "<b>"), 0);
}

TEST(Marker, TheLongerWins) {
  const MarkerSet set({"<a>", "<a><b>", "", "[X]"});
  EXPECT_EQ(set.find("..<a>", 0, false).index, MarkerSet::kNone);  // may become the longer
  EXPECT_EQ(set.find("..<a>", 0, false).position, 2u);
  EXPECT_EQ(set.find("..<a>", 0, true).index, 0u);
  EXPECT_EQ(set.find("..<a><b>", 0, false).index, 1u);
  EXPECT_EQ(set.find("..<a>.", 0, false).index, 0u);
  EXPECT_EQ(set.find("[[X]", 0, false).position, 1u);
  EXPECT_EQ(set.find("none", 0, false).position, 4u);
}

TEST(TagText, IsCutWhereTagsAre) {
  EXPECT_EQ(split_tags("</f>\n</t><|x|>"), (std::vector<std::string>{"</f>", "</t>", "<|x|>"}));
  EXPECT_EQ(split_tags("a b[TOOL_CALLS]c"),
            (std::vector<std::string>{"a", "b", "[TOOL_CALLS]", "c"}));
  EXPECT_EQ(split_tags("<t>\n<f="), (std::vector<std::string>{"<t>", "<f="}));
  EXPECT_EQ(split_tags("]<]x[>["), (std::vector<std::string>{"]", "<]x[>", "["}));
}

}  // namespace
}  // namespace omg
