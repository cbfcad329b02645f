// SPDX-License-Identifier: Apache-2.0
//
// JSON Schemas: documents that are let through and refused, keyword by keyword; schemas that are
// refused; and random walks along the masks, whose texts must satisfy the schema.
#include <chrono>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/json.h"
#include "text/grammar/schema_validator.h"
#include "text/grammar/test_support.h"

namespace omg {
namespace {

using grammar::testing::accepts;
using grammar::testing::SchemaValidator;

struct Case {
  const char* schema;
  std::vector<const char*> accepted, refused;
};

const std::vector<Case> kCases = {
    // Types.
    {R"({"type":"null"})", {"null"}, {"nul", "true", "0", ""}},
    {R"({"type":"boolean"})", {"true", "false"}, {"null", "True", "1"}},
    {R"({"type":"string"})",
     {R"("")", R"("a b")", R"("é日😀")", R"("\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00")"},
     {R"(a)", R"(")", "\"\n\"", R"("\x")", R"("\u12g4")", R"("\ud83d")", R"("\ude00")",
      R"("\ud83dx")", "\"\xff\"", "'a'"}},
    {R"({"type":"number"})",
     {"0", "-0", "1", "-12.50", "1e5", "1.5E-3", "0.001"},
     {"01", "+1", ".5", "1.", "1e", "NaN", "-", "--1", "0x1"}},
    {R"({"type":"integer"})",
     {"0", "7", "-40", "12345678901234567890"},
     {"1.0", "1e3", "-0", "01"}},
    {R"({"type":["string","null"]})", {"\"x\"", "null"}, {"1", "true"}},
    {R"({"type":["integer","number"]})", {"1", "1.5"}, {"null"}},
    {R"({"type":"string","nullable":true})", {"\"x\"", "null"}, {"1"}},
    {"true", {"1", "[{}]", R"({"a":[]})"}, {"", "[", "{a:1}"}},
    {"{}", {"null", R"({"a":{"b":[1,2]}})"}, {"[1,]"}},
    {R"({"title":"T","description":"D","default":1,"examples":[2],"$comment":"c","x-y":1,
        "$schema":"s","deprecated":true,"type":"integer"})",
     {"3"},
     {"\"3\""}},
    // Enumerations.
    {R"({"enum":["red","green",1,null,1.5,true]})",
     {"\"red\"", "\"green\"", "1", "null", "1.5", "true"},
     {"\"gree\"", "\"blue\"", "2", "false", "1.50"}},
    {R"({"enum":["a","b",1],"type":"string"})", {"\"a\""}, {"1"}},
    {R"({"const":"x"})", {"\"x\""}, {"\"y\"", "x"}},
    {R"({"const":{"a":[1,"q"],"b":{}}})",
     {R"({"a":[1,"q"],"b":{}})", R"({"a": [1, "q"], "b": {}})"},
     {R"({"a":[1],"b":{}})", "{}"}},
    {R"({"enum":["a\"b","tab\t","é","\u0001"]})",
     {R"("a\"b")", R"("tab\t")", R"("é")", R"("\u0001")"},
     {R"("a"b")", "\"tab\t\""}},
    {R"({"enum":["a","ab","abc","b"]})",
     {"\"a\"", "\"ab\"", "\"abc\"", "\"b\""},
     {"\"bc\"", "\"\""}},
    {R"({"enum":[[],[1],{}]})", {"[]", "[1]", "{}", "{ }"}, {"[1,1]"}},
    // Strings.
    {R"({"type":"string","minLength":2})",
     {"\"ab\"", "\"日本語\"", "\"\\n\\n\""},
     {"\"a\"", "\"日\""}},
    {R"({"type":"string","maxLength":2})",
     {"\"\"", "\"日本\"", "\"\\u00e9\\u00e9\"", "\"\\ud83d\\ude00😀\""},
     {"\"abc\""}},
    {R"({"minLength":1,"maxLength":1})", {"\"a\""}, {"\"\"", "\"ab\"", "1"}},
    {R"({"type":"string","maxLength":1000000000000})", {"\"abc\""}, {}},
    {R"({"type":"string","maxLength":0})", {"\"\""}, {"\"a\""}},
    {R"({"type":"string","pattern":"^[a-z]+$"})", {"\"abc\""}, {"\"\"", "\"aB\"", "\"a1\""}},
    {R"({"pattern":"b"})", {"\"b\"", "\"abc\"", "\"\\nb\""}, {"\"ac\"", "1"}},
    {R"({"pattern":"^a|c$"})", {"\"ab\"", "\"bc\""}, {"\"ba\""}},
    {R"({"pattern":"^\"\\\\\\n.$"})", {R"("\"\\\nx")"}, {R"("\"\\n")"}},
    {R"({"pattern":"^\\d{3}-\\d{4}$"})", {"\"555-1234\""}, {"\"5551234\""}},
    {R"({"pattern":"^[a-zé\"]+$","minLength":2,"maxLength":4})",
     {R"("ab")", R"("éééé")", R"("a\"")"},
     {R"("a")", R"("abcde")", R"("a1")", R"("ééééé")", R"("a"")"}},
    {R"({"pattern":"b","maxLength":3})",
     {R"("b")", R"("\nb日")"},
     {R"("")", R"("acd")", R"("abcd")"}},
    {R"({"format":"ipv4","maxLength":8,"pattern":"^1"})",
     {R"("1.2.3.4")", R"("10.2.3.4")"},
     {R"("10.20.3.4")", R"("2.2.3.4")"}},
    {R"({"enum":["a","bbb","cc",5],"minLength":2})", {"\"bbb\"", "\"cc\"", "5"}, {"\"a\""}},
    {R"({"type":"integer","enum":[1,5,10,"x"],"minimum":2})", {"5", "10"}, {"1", "\"x\""}},
    {R"({"format":"date"})",
     {"\"2024-02-29\"", "\"2000-02-29\"", "\"1999-12-31\""},
     {"\"2023-02-29\"", "\"1900-02-29\"", "\"2024-13-01\"", "\"2024-04-31\"", "\"2024-1-1\""}},
    {R"({"format":"time"})",
     {"\"23:59:59Z\"", "\"00:00:00.5+01:30\""},
     {"\"24:00:00Z\"", "\"12:00Z\"", "\"12:00:00\""}},
    {R"({"format":"date-time"})",
     {"\"2024-05-06T07:08:09Z\"", "\"2024-05-06T07:08:09.123-08:00\""},
     {"\"2024-05-06 07:08:09Z\"", "\"2024-05-06\""}},
    {R"({"format":"duration"})",
     {"\"P1D\"", "\"PT5M\"", "\"P1Y2M3DT4H\"", "\"P2W\""},
     {"\"P\"", "\"PT\"", "\"1D\""}},
    {R"({"format":"uuid"})",
     {"\"123e4567-e89b-12d3-a456-426614174000\""},
     {"\"123e4567e89b12d3a456426614174000\"", "\"123e4567-e89b-12d3-a456-42661417400g\""}},
    {R"({"format":"ipv4"})",
     {"\"0.0.0.0\"", "\"255.10.1.99\""},
     {"\"256.1.1.1\"", "\"1.2.3\"", "\"01.2.3.4\""}},
    {R"({"format":"ipv6"})",
     {"\"::\"", "\"::1\"", "\"1::\"", "\"fe80::1:2\"", "\"1:2:3:4:5:6:7:8\""},
     {"\":\"", "\"1:2\"", "\"1::2::3\"", "\"12345::\"", "\"1:2:3:4:5:6:7:8:9\""}},
    {R"({"format":"hostname"})", {"\"a.example-1.org\""}, {"\"-a.org\"", "\"a..b\"", "\"a b\""}},
    {R"({"format":"email"})", {"\"me.too+x@example.org\""}, {"\"me\"", "\"a@\"", "\"a b@c.de\""}},
    {R"({"format":"uri"})",
     {"\"https://example.org\"", "\"http://a.b:80/x/y?q=1&r=%20#top\""},
     {"\"example.org\"", "\"http://\"", "\"http://a b\""}},
    {R"({"format":"uuid4"})",
     {"\"123e4567-e89b-42d3-a456-426614174000\""},
     {"\"123e4567-e89b-12d3-a456-426614174000\""}},
    {R"({"format":"byte"})", {"\"\"", "\"aGk=\"", "\"aA==\"", "\"aGkh\""}, {"\"a\"", "\"aGl=\""}},
    {R"({"format":"password","minLength":2})", {"\"\\n日\""}, {"\"a\""}},
    {R"({"pattern":"^\\S.$"})", {"\"ab\""}, {"\"\u00a0b\"", "\"a\u2028\"", "\"a\\n\""}},
    {R"({"pattern":"^[^\\s]\\s$"})", {"\"a \""}, {"\"\u3000 \"", "\"a\u3000\""}},
    // Numbers.
    {R"({"type":"integer","minimum":3,"maximum":120})",
     {"3", "9", "10", "99", "100", "119", "120"},
     {"2", "0", "121", "130", "200", "-3", "1000", "03", "3.0"}},
    {R"({"type":"integer","minimum":-5,"maximum":5})",
     {"-5", "-1", "0", "5"},
     {"-6", "6", "-0", "-10"}},
    {R"({"type":"integer","minimum":10})", {"10", "99", "100", "123456"}, {"9", "0", "-10"}},
    {R"({"type":"integer","maximum":-10})", {"-10", "-99", "-100"}, {"-9", "0", "10"}},
    {R"({"type":"integer","exclusiveMinimum":0,"exclusiveMaximum":10})", {"1", "9"}, {"0", "10"}},
    {R"({"type":"integer","minimum":2.5,"maximum":4.5})", {"3", "4"}, {"2", "5"}},
    {R"({"type":"integer","minimum":1,"exclusiveMinimum":1})", {"2"}, {"1"}},
    {R"({"type":"integer","format":"int32"})",
     {"2147483647", "-2147483648"},
     {"2147483648", "-2147483649"}},
    {R"({"type":"number","format":"int32"})", {"1"}, {"1.5", "3000000000"}},
    {R"({"type":"number","minimum":0,"maximum":1})",
     {"0", "0.5", "1", "1.0", "0.0", "0.999"},
     {"1.1", "1.01", "-0.1", "2", "1e0"}},
    {R"({"type":"number","exclusiveMinimum":0,"exclusiveMaximum":1})",
     {"0.5", "0.001", "0.99"},
     {"0", "0.0", "0.00", "1", "1.0"}},
    {R"({"type":"number","minimum":-1.25,"maximum":3.14})",
     {"-1.25", "-1.2", "-1", "-0.5", "0", "2.99", "3", "3.1", "3.14", "3.140"},
     {"-1.26", "-1.3", "-2", "3.15", "3.141", "3.2", "4"}},
    {R"({"type":"number","exclusiveMinimum":1.5,"maximum":1.75})",
     {"1.51", "1.6", "1.75", "1.501", "1.7"},
     {"1.5", "1.50", "1.76", "1.8", "2", "1"}},
    {R"({"type":"number","minimum":99.5})",
     {"99.5", "99.51", "100", "1000.25"},
     {"99.4", "99", "9"}},
    {R"({"type":"number","exclusiveMaximum":0})", {"-0.5", "-3"}, {"0", "0.5", "-0", "-0.0"}},
    {R"({"minimum":5})", {"5", "5.5"}, {"4.9", "\"5\""}},
    {R"({"type":"integer","multipleOf":5})", {"0", "5", "-15", "100"}, {"1", "52"}},
    {R"({"type":"number","multipleOf":7,"minimum":0})", {"0", "7", "49", "700"}, {"8", "-7"}},
    {R"({"type":"integer","multipleOf":25,"minimum":-50,"maximum":60})",
     {"-50", "-25", "0", "25", "50"},
     {"60", "75", "-75", "10"}},
    {R"({"type":"number","multipleOf":0.01})", {"1", "1.5", "-1.25"}, {"1.255"}},
    {R"({"type":"number","multipleOf":0.1,"maximum":2})", {"1.9", "2", "2.0"}, {"2.1", "1.95"}},
    // Arrays.
    {R"({"type":"array"})", {"[]", "[1,\"a\",null]", "[ 1, 2 ]"}, {"[1", "{}", "[,1]"}},
    {R"({"items":{"type":"integer"}})", {"[]", "[1,2,3]"}, {"[1,\"a\"]", "[1.5]"}},
    {R"({"items":{"type":"integer"},"minItems":2})", {"[1,2]", "[1, 2, 3]"}, {"[]", "[1]"}},
    {R"({"items":{"type":"integer"},"maxItems":2})", {"[]", "[1]", "[1,2]"}, {"[1,2,3]"}},
    {R"({"items":{"type":"integer"},"minItems":1,"maxItems":1})", {"[1]"}, {"[]", "[1,2]"}},
    {R"({"type":"array","maxItems":0})", {"[]", "[ ]"}, {"[1]"}},
    {R"({"type":"array","items":false})", {"[]"}, {"[1]"}},
    {R"({"type":"array","minItems":30,"items":{"const":1}})",
     {"[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]"},
     {"[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]"}},
    {R"({"prefixItems":[{"type":"string"},{"type":"integer"}]})",
     {"[]", "[\"a\"]", "[\"a\",1]"},
     {"[1]", "[\"a\",1,2]"}},
    {R"({"prefixItems":[{"type":"string"},{"type":"integer"}],"minItems":2,"items":{"type":"null"},
        "maxItems":3})",
     {"[\"a\",1]", "[\"a\",1,null]"},
     {"[\"a\"]", "[\"a\",1,null,null]", "[\"a\",1,2]"}},
    {R"({"type":"array","uniqueItems":false,"items":{"type":"null"}})", {"[null,null]"}, {}},
    // Objects.
    {R"({"type":"object"})",
     {"{}", R"({"a":1,"b":{"c":[]}})", "{\n  \"a\": 1\n}"},
     {"[]", "{a:1}"}},
    {R"({"properties":{"a":{"type":"integer"},"b":{"type":"string"}},"required":["a"]})",
     {R"({"a":1})", R"({"a": 1, "b": "x"})", "{\n\t\"a\": 1\n}"},
     {"{}", R"({"b":"x"})", R"({"a":"x"})", R"({"b":"x","a":1})", R"({"a":1,"c":2})"}},
    {R"({"properties":{"a":{"type":"null"},"b":{"type":"null"},"c":{"type":"null"}}})",
     {"{}", R"({"a":null})", R"({"b":null,"c":null})", R"({"a":null,"c":null})",
      R"({"a":null,"b":null,"c":null})"},
     {R"({"a":null,})", R"({,"b":null})", R"({"c":null,"b":null})"}},
    {R"({"properties":{"a":{"type":"null"}},"additionalProperties":true})",
     {R"({"a":null})", R"({"b":1})", R"({"a":null,"ab":1,"b":2})", R"({"":1})"},
     {R"({"a":1})", R"({"b":1,"a":1})", R"({"\u0061":1})"}},
    {R"({"properties":{"ab":{"type":"null"},"ac":{"type":"null"}},"required":["ab"],
        "additionalProperties":{"type":"integer"}})",
     {R"({"ab":null,"a":1,"abc":2,"x":3})"},
     {R"({"ab":null,"x":"y"})", R"({"ab":null,"ab":1})", R"({"ab":null,"ac":1})"}},
    {R"({"additionalProperties":{"type":"integer"}})",
     {"{}", R"({"x":1,"y":2})"},
     {R"({"x":"1"})"}},
    {R"({"type":"object","additionalProperties":false})", {"{}"}, {R"({"x":1})"}},
    {R"({"type":"object","properties":{},"additionalProperties":false})", {"{}"}, {R"({"x":1})"}},
    {R"({"type":"object","required":["x"]})", {R"({"x":[1]})"}, {"{}", R"({"y":1})"}},
    {R"({"properties":{"a":false,"b":true}})", {"{}", R"({"b":[1]})"}, {R"({"a":1})"}},
    {R"({"patternProperties":{"^n_":{"type":"number"}},"additionalProperties":false})",
     {"{}", R"({"n_a":1})"},
     {R"({"a":1})", R"({"n_a":"x"})"}},
    {R"({"properties":{"id":{"type":"integer"},"n_x":{"minimum":3}},"required":["id"],
        "patternProperties":{"^n_":{"type":"number","maximum":9}}})",
     {R"({"id":1,"n_x":3,"n_y":2})", R"({"id":1,"n_":9})"},
     {R"({"id":1,"n_x":2})", R"({"id":1,"n_x":10})", R"({"id":1,"n_y":10})", R"({"id":1,"z":1})",
      R"({"id":1,"n_y":1,"n_x":4})", R"({"id":1,"id":1})"}},
    {R"({"patternProperties":{"a":{"minimum":2},"b":{"maximum":4}},"additionalProperties":
        {"type":"null"}})",
     {R"({"a":5,"b":1,"ab":3,"c":null,"":null})"},
     {R"({"a":1})", R"({"b":5})", R"({"ab":5})", R"({"xbxa":1})", R"({"c":1})", R"({"ac":null})"}},
    {R"({"type":"object","required":["n_a","q"],"patternProperties":{"^n_":{"const":1}},
        "additionalProperties":{"const":2}})",
     {R"({"n_a":1,"q":2,"r":2,"n_b":1})"},
     {R"({"n_a":2,"q":2})", R"({"n_a":1,"q":1})", R"({"n_a":1})"}},
    {R"({"type":"object","propertyNames":{"pattern":"^[a-z]$"}})", {R"({"a":1})"}, {R"({"A":1})"}},
    {R"({"type":"object","minProperties":1,"maxProperties":2,"additionalProperties":{"const":1}})",
     {R"({"a":1})", R"({"a":1,"b":1})"},
     {"{}", R"({"a":1,"b":1,"c":1})"}},
    {R"({"properties":{"a b":{"const":1},"\"q\"":{"const":2},"é/~":{"const":3}}})",
     {R"({"a b":1,"\"q\"":2,"é/~":3})"},
     {R"({"q":2})"}},
    {R"({"type":"object","properties":{"a":{"type":"integer"}},"unevaluatedProperties":false})",
     {R"({"a":1})"},
     {R"({"b":1})"}},
    // Combinations.
    {R"({"anyOf":[{"type":"string"},{"type":"integer"}]})", {"\"a\"", "1"}, {"null"}},
    {R"({"oneOf":[{"type":"string"},{"type":"null"}]})", {"\"a\"", "null"}, {"1"}},
    {R"({"oneOf":[{"properties":{"k":{"const":"a"},"x":{"type":"integer"}},"required":["k","x"]},
        {"properties":{"k":{"const":"b"},"y":{"type":"string"}},"required":["k","y"]}]})",
     {R"({"k":"a","x":1})", R"({"k":"b","y":"s"})"},
     {R"({"k":"a","y":"s"})", R"({"k":"c"})"}},
    {R"({"allOf":[{"properties":{"a":{"type":"integer"}},"required":["a"]},
        {"properties":{"b":{"type":"string"}},"required":["b"]}]})",
     {R"({"a":1,"b":"x"})"},
     {R"({"a":1})", R"({"b":"x"})"}},
    {R"({"allOf":[{"minimum":3},{"maximum":5},{"type":"integer"}]})",
     {"3", "5"},
     {"2", "6", "3.5"}},
    {R"({"allOf":[{"type":["string","null"]},{"type":["string","integer"]}]})",
     {"\"a\""},
     {"null", "1"}},
    {R"({"allOf":[{"enum":["a","b","c"]},{"enum":["b","c","d"]}]})",
     {"\"b\"", "\"c\""},
     {"\"a\"", "\"d\""}},
    {R"({"type":"object","properties":{"a":{"const":1}},"required":["a"],
        "anyOf":[{"properties":{"b":{"const":2}},"required":["b"]},
                 {"properties":{"c":{"const":3}},"required":["c"]}]})",
     {R"({"a":1,"b":2})", R"({"a":1,"c":3})"},
     {R"({"a":1})", R"({"b":2})"}},
    {R"({"allOf":[{"properties":{"a":{"const":1}},"additionalProperties":false},
        {"properties":{"b":{"const":2}}}]})",
     {"{}", R"({"a":1})"},
     {R"({"b":2})"}},
    {R"({"allOf":[{"properties":{"a":{"minimum":3}}},{"properties":{"a":{"maximum":5}}}]})",
     {"{}", R"({"a":4})"},
     {R"({"a":2})", R"({"a":6})"}},
    {R"({"anyOf":[{"type":"string","maxLength":1},{"type":"string","minLength":3}]})",
     {"\"a\"", "\"abc\""},
     {"\"ab\""}},
    {R"({"allOf":[{"$ref":"#/$defs/x"}],"description":"d","$defs":{"x":{"type":"null"}}})",
     {"null"},
     {"1"}},
    // References.
    {R"({"$ref":"#/$defs/n","$defs":{"n":{"type":"integer"}}})", {"1"}, {"\"1\""}},
    {R"({"$ref":"#/definitions/a~1b%20~0","definitions":{"a/b ~":{"const":1}}})", {"1"}, {"2"}},
    {R"({"properties":{"v":{"const":1},"next":{"anyOf":[{"$ref":"#"},{"type":"null"}]}},
        "required":["v","next"]})",
     {R"({"v":1,"next":null})", R"({"v":1,"next":{"v":1,"next":null}})"},
     {R"({"v":1})", R"({"v":1,"next":{"v":1}})"}},
    {R"({"$ref":"#/$defs/tree","$defs":{"tree":{"type":"object","properties":{
        "kids":{"type":"array","items":{"$ref":"#/$defs/tree"}}}}}})",
     {"{}", R"({"kids":[{},{"kids":[]}]})"},
     {R"({"kids":{}})"}},
    {R"({"properties":{"a":{"$ref":"#/$defs/n","minimum":5}},"$defs":{"n":{"type":"integer"}}})",
     {R"({"a":5})"},
     {R"({"a":4})", R"({"a":5.5})"}},
    {R"({"$ref":"#/$defs/e","$defs":{"e":{"oneOf":[{"type":"object","properties":{"left":
        {"$ref":"#/$defs/e"},"op":{"const":"+"}},"required":["left","op"]},{"type":"object",
        "properties":{"left":{"$ref":"#/$defs/e"},"op":{"const":"-"}},"required":["left","op"]},
        {"type":"integer"}]}}})",
     {"1", R"({"left":{"left":1,"op":"-"},"op":"+"})"},
     {R"({"left":1,"op":"*"})"}},
    {R"({"items":{"$ref":"#/prefixItems/0"},"prefixItems":[{"const":1}]})", {"[1,1,1]"}, {"[1,2]"}},
};

TEST(JsonSchema, AcceptsExactlyWhatFits) {
  size_t pairs = 0;
  for (const Case& item : kCases) {
    SCOPED_TRACE(item.schema);
    const json::value schema = parse_json(item.schema, "schema");
    const auto matcher = std::make_shared<GrammarMatcher>(Grammar::from_json_schema(schema),
                                                          grammar::testing::byte_vocabulary());
    const SchemaValidator validator(schema);
    for (const char* text : item.accepted) {
      EXPECT_TRUE(accepts(matcher, text)) << "should accept " << text;
      if (std::string_view(text) != "12345678901234567890") {
        EXPECT_TRUE(validator.valid(parse_json(text, "document"))) << "is not valid: " << text;
      }
      ++pairs;
    }
    for (const char* text : item.refused) {
      EXPECT_FALSE(accepts(matcher, text)) << "should refuse " << text;
      ++pairs;
    }
  }
  EXPECT_GT(pairs, 300u);
}

TEST(JsonMode, TakesAnyJsonOfBoundedWhiteSpace) {
  const Grammar object = Grammar::any_json(), value = Grammar::any_json(JsonTop::kValue);
  for (const char* text : {"{}", R"({"a":[1,{"b":null}],"c":"\u0041"})",
                           "{\n  \"a\": 1,\n  \"b\": 2\n}", R"({ "a": 1 })"}) {
    EXPECT_TRUE(accepts(object, text)) << text;
    EXPECT_TRUE(accepts(value, text)) << text;
  }
  for (const char* text : {"[]", "1", "\"a\"", "null"}) {
    EXPECT_FALSE(accepts(object, text)) << text;
    EXPECT_TRUE(accepts(value, text)) << text;
  }
  const std::string many(60, ' ');
  for (const std::string& text : std::vector<std::string>{
           "{" + many + "}", "{\n" + many + "}", "{\n\n}", "{}" + many, " {}", "{\"a\":1",
           "{\"a\"  : 1}", "{\"a\":" + std::string(60, '1') + "}"}) {
    EXPECT_FALSE(accepts(object, text)) << text;
  }
  // Deep, and deeper than there is memory for.
  EXPECT_TRUE(accepts(value, std::string(1000, '[') + std::string(1000, ']')));
  EXPECT_THROW(accepts(value, std::string(100'000, '[')), Error);
}

struct BadSchema {
  std::string schema;
  ErrorCode code;
  const char *says, *where;
};

TEST(JsonSchema, RefusesByKeywordAndPlace) {
  constexpr ErrorCode kInvalid = ErrorCode::kInvalidArgument;
  constexpr ErrorCode kUnsupported = ErrorCode::kUnsupported;
  constexpr ErrorCode kLimit = ErrorCode::kLimitExceeded;
  std::string wide = R"({"allOf":[)", deep, chain = R"({"$ref":"#/$defs/r0","$defs":{)";
  for (int i = 0; i < 20; ++i) {
    const std::string name = "p" + std::to_string(i);
    wide += (i > 0 ? "," : "") + std::string(R"({"anyOf":[{"properties":{")") + name +
            R"(":{"const":1}}},{"properties":{")" + name + R"(":{"const":2}}}]})";
  }
  wide += "]}";
  for (int i = 0; i < 120; ++i) deep += R"({"items":)";
  deep += "{}" + std::string(120, '}');
  for (int i = 0; i < 100; ++i) {
    chain += "\"r" + std::to_string(i) + R"(":{"$ref":"#/$defs/r)" + std::to_string(i + 1) +
             R"(","minLength":1},)";
  }
  chain += R"("r100":{"type":"string"}}})";
  const std::vector<BadSchema> table = {
      {"1", kInvalid, "must be an object", ""},
      {"[]", kInvalid, "must be an object", ""},
      {"false", kInvalid, "no text at all", ""},
      {R"({"type":"text"})", kInvalid, "type", "text"},
      {R"({"type":5})", kInvalid, "type", "#"},
      {R"({"properties":{"a":{"type":"strin"}}})", kInvalid, "type", "#/properties/a"},
      {R"({"properties":[]})", kInvalid, "properties", "#"},
      {R"({"properties":{"a":1}})", kInvalid, "properties", "#"},
      {R"({"items":[{"type":"null"}]})", kInvalid, "items", "#"},
      {R"({"required":"a"})", kInvalid, "required", "#"},
      {R"({"required":[1]})", kInvalid, "required", "#"},
      {R"({"enum":[]})", kInvalid, "enum", "#"},
      {R"({"enum":"a"})", kInvalid, "enum", "#"},
      {R"({"anyOf":[]})", kInvalid, "anyOf", "#"},
      {R"({"allOf":{}})", kInvalid, "allOf", "#"},
      {R"({"minimum":"1"})", kInvalid, "minimum", "#"},
      {R"({"exclusiveMinimum":true})", kInvalid, "exclusiveMinimum", "#"},
      {R"({"minLength":-1})", kInvalid, "minLength", "#"},
      {R"({"maxItems":1.5})", kInvalid, "maxItems", "#"},
      {R"({"minItems":3,"maxItems":2,"type":"array"})", kInvalid, "no text at all", ""},
      {R"({"type":"integer","minimum":5,"maximum":4})", kInvalid, "no text at all", ""},
      {R"({"type":"integer","exclusiveMinimum":4,"exclusiveMaximum":5})", kInvalid, "no text", ""},
      {R"({"minLength":99999999999})", kLimit, "minLength", ""},
      {R"({"multipleOf":0})", kInvalid, "multipleOf", "#"},
      {R"({"multipleOf":-3})", kInvalid, "multipleOf", "#"},
      {R"({"multipleOf":0.3})", kUnsupported, "multipleOf", "#"},
      {R"({"multipleOf":12345})", kUnsupported, "multipleOf", "#"},
      {R"({"multipleOf":3,"minimum":17})", kUnsupported, "multipleOf", "#"},
      {R"({"minimum":1e300})", kUnsupported, "minimum", "digits"},
      {R"~({"pattern":"(?=a)"})~", kUnsupported, "look-ahead", "#"},
      {R"({"properties":{"a":{"pattern":"["}}})", kInvalid, "no end", "#/properties/a"},
      {R"({"pattern":5})", kInvalid, "pattern", "#"},
      {R"({"format":"color"})", kUnsupported, "color", "#"},
      {R"({"not":{"type":"null"}})", kUnsupported, "'not'", "#"},
      {R"({"if":{},"then":{}})", kUnsupported, "'if'", "#"},
      {R"({"properties":{"a/b":{"items":{"contains":{}}}}})", kUnsupported, "'contains'",
       "#/properties/a~1b/items"},
      {R"({"dependentRequired":{}})", kUnsupported, "dependentRequired", "#"},
      {R"({"unevaluatedItems":false})", kUnsupported, "unevaluatedItems", "#"},
      {R"({"minLenght":3})", kUnsupported, "minLenght", "#"},
      {R"({"$defs":{"x":{"not":{}}},"$ref":"#/$defs/x"})", kUnsupported, "'not'", "#/$defs/x"},
      {R"({"uniqueItems":true})", kUnsupported, "uniqueItems", "#"},
      {R"({"$ref":"#/$defs/none"})", kInvalid, "$ref", "none"},
      {R"({"$ref":"http://example.org/s"})", kUnsupported, "$ref", "http"},
      {R"({"$ref":"#anchor"})", kUnsupported, "$ref", "#anchor"},
      {R"({"$ref":1})", kInvalid, "$ref", "#"},
      {R"({"$ref":"#/title","title":"x"})", kInvalid, "$ref", "no schema"},
      {R"({"$ref":"#"})", kInvalid, "no text at all", "#"},
      {R"({"anyOf":[{"$ref":"#"},{"type":"null"}]})", kInvalid, "left-recursive", "#"},
      {R"({"allOf":[{"$ref":"#"},{"minimum":1}]})", kLimit, "without end", ""},
      {R"({"properties":{"a":{"$ref":"#"}},"required":["a"]})", kInvalid, "no text at all", ""},
      {R"({"oneOf":[{"type":"string"},{"maxLength":3}]})", kUnsupported, "oneOf", "branch 1"},
      {R"({"oneOf":[{"type":"number"},{"type":"integer"}]})", kUnsupported, "oneOf", "#"},
      {R"({"oneOf":[{"properties":{"a":{"type":"null"}}},{"properties":{"b":{"type":"null"}}}]})",
       kUnsupported, "oneOf", "#"},
      {R"({"allOf":[{"pattern":"a"},{"pattern":"b"}]})", kUnsupported, "pattern", "allOf"},
      {R"({"allOf":[{"type":"null"},{"type":"string"}]})", kInvalid, "no text at all", ""},
      {R"({"patternProperties":{"a":{},"b":{},"c":{},"d":{},"e":{}}})", kUnsupported,
       "patternProperties", "#"},
      {R"({"patternProperties":{"a":{}},"propertyNames":{"maxLength":3}})", kUnsupported,
       "propertyNames", "#"},
      {R"({"patternProperties":{"(":{}}})", kInvalid, "')'", "#"},
      {R"({"pattern":"^(a|b)*a(a|b){20}$","maxLength":90})", kLimit, "combinations", ""},
      {R"({"enum":["a"],"minLength":3})", kInvalid, "no text at all", ""},
      {R"({"enum":[[1]],"minItems":1})", kUnsupported, "minItems", "enum"},
      {R"({"properties":{"a":{}},"propertyNames":{"maxLength":3},"additionalProperties":true})",
       kUnsupported, "propertyNames", "#"},
      {R"({"properties":{"a":{},"b":{}},"maxProperties":1})", kUnsupported, "maxProperties", "#"},
      {R"({"type":"object","minProperties":2})", kUnsupported, "minProperties", "#"},
      {R"({"properties":{"a":{},"b":{}},"minProperties":1})", kUnsupported, "minProperties", "#"},
      {wide, kLimit, "combinations", "#"},
      {deep + " ", kLimit, "deep", "#/items"},
      {chain, kLimit, "too deeply", "#"},
  };
  for (const BadSchema& bad : table) {
    const auto begin = std::chrono::steady_clock::now();
    try {
      JsonSchemaOptions options;
      options.limits.max_nesting = 100;
      Grammar::from_json_schema(parse_json(bad.schema, "schema", {.max_depth = 1000}), options);
      ADD_FAILURE() << "was not refused: " << bad.schema;
    } catch (const Error& error) {
      const std::string text = error.what();
      EXPECT_EQ(error.code(), bad.code) << bad.schema << "\n" << text;
      EXPECT_NE(text.find(bad.says), std::string::npos) << bad.schema << "\n" << text;
      EXPECT_NE(text.find(bad.where), std::string::npos) << bad.schema << "\n" << text;
    }
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10)) << bad.schema;
  }
}

TEST(JsonSchema, TakesManyBranchesOfConsts) {
  json::array branches;
  for (int i = 0; i < 500; ++i) {
    branches.push_back(json::object{{"const", "v" + std::to_string(i)}, {"title", "t"}});
  }
  const Grammar grammar = Grammar::from_json_schema(json::object{{"oneOf", branches}});
  EXPECT_TRUE(accepts(grammar, "\"v499\""));
  EXPECT_FALSE(accepts(grammar, "\"v500\""));
}

TEST(JsonSchema, MayAllowUndeclaredProperties) {
  const json::value schema = parse_json(R"({"properties":{"a":{"const":1}}})", "schema");
  JsonSchemaOptions options;
  options.declared_properties_only = false;
  EXPECT_TRUE(accepts(Grammar::from_json_schema(schema, options), R"({"a":1,"b":2})"));
  EXPECT_FALSE(accepts(Grammar::from_json_schema(schema), R"({"a":1,"b":2})"));
}

// Random walks.

const char* const kWalked[] = {
    R"({"type":"object","properties":{"name":{"type":"string","minLength":1,"maxLength":20},
        "age":{"type":"integer","minimum":0,"maximum":150},"tags":{"type":"array",
        "items":{"enum":["x","yy","日本"]},"maxItems":4},"score":{"type":"number",
        "minimum":-2.5,"exclusiveMaximum":7.25}},"required":["name","score"]})",
    R"({"$ref":"#/$defs/node","$defs":{"node":{"type":"object","properties":{"v":{"type":
        ["integer","null"]},"kids":{"type":"array","items":{"$ref":"#/$defs/node"},"maxItems":2}},
        "required":["v"]}}})",
    R"({"oneOf":[{"type":"object","properties":{"kind":{"const":"a"},"n":{"multipleOf":7,
        "type":"integer"}},"required":["kind","n"]},{"type":"object","properties":{"kind":{"const":
        "b"},"s":{"pattern":"^[a-f]{2,9}(-[0-9]+)?$"}},"required":["kind"]},{"type":"null"}]})",
    R"({"type":"object","properties":{"ab":{"type":"boolean"},"abc":{"type":"null"}},
        "additionalProperties":{"type":"integer","maximum":-3}})",
    R"({"prefixItems":[{"type":"string","format":"date"},
        {"type":"number","exclusiveMinimum":0.125}],
        "items":{"type":"string","format":"ipv6"},"minItems":2,"maxItems":4})",
    R"({"allOf":[{"properties":{"a":{"type":"number","minimum":1.5}},"required":["a"]},
        {"properties":{"a":{"maximum":1.75},"b":{"type":"string","maxLength":3}}}]})",
    R"({"type":"object","patternProperties":{"^[a-c]":{"type":"array","items":{"type":"number",
        "multipleOf":0.01}}},"additionalProperties":false})",
    R"({"type":"object","properties":{"id":{"type":"integer"}},"required":["id"],
        "patternProperties":{"a":{"minimum":2},"[bc]":{"type":"number","maximum":4}},
        "additionalProperties":{"type":"string","pattern":"[0-9]","maxLength":6}})",
    R"({"type":["object","array"]})",
};

/// Uniform among the allowed tokens, but towards the end the text is brought to one.
std::string walk(const std::shared_ptr<GrammarMatcher>& matcher, std::mt19937& random) {
  const GrammarVocabulary& vocabulary = matcher->vocabulary();
  GrammarState state(matcher);
  std::vector<uint32_t> bits(vocabulary.mask_words());
  std::string text;
  for (int step = 0; step < 20'000; ++step) {
    EXPECT_TRUE(state.fill_mask(bits)) << text;
    auto tokens = grammar::testing::set_bits(bits);
    if (tokens.empty()) return text;
    if (step > 60 || random() % 8 == 0) {
      std::erase_if(tokens, [&](uint32_t token) {
        const std::string_view bytes = vocabulary.bytes(token);
        return vocabulary.use(token) != TokenUse::kEnd && !bytes.starts_with('"') &&
               !bytes.starts_with(']') && !bytes.starts_with('}');
      });
      if (tokens.empty()) tokens = grammar::testing::set_bits(bits);
    }
    const uint32_t token =
        tokens[std::uniform_int_distribution<size_t>(0, tokens.size() - 1)(random)];
    EXPECT_TRUE(state.accept(token)) << text;
    if (state.has_ended()) return text;
    text += vocabulary.bytes(token);
  }
  ADD_FAILURE() << "the walk found no end: " << text.substr(0, 200);
  return text;
}

TEST(JsonSchema, RandomWalksSatisfyTheSchema) {
  const auto vocabulary = grammar::testing::whole_vocabulary();
  std::mt19937 random(3);
  for (const char* text : kWalked) {
    SCOPED_TRACE(text);
    const json::value schema = parse_json(text, "schema");
    const SchemaValidator validator(schema);
    const auto matcher =
        std::make_shared<GrammarMatcher>(Grammar::from_json_schema(schema), vocabulary);
    for (int i = 0; i < 400; ++i) {
      const std::string answer = walk(matcher, random);
      ASSERT_NO_THROW({ ASSERT_TRUE(validator.valid(parse_json(answer, "answer"))) << answer; })
          << answer;
    }
  }
}

TEST(JsonMode, RandomWalksAreJson) {
  const auto matcher =
      std::make_shared<GrammarMatcher>(Grammar::any_json(), grammar::testing::whole_vocabulary());
  std::mt19937 random(4);
  for (int i = 0; i < 1000; ++i) {
    const std::string answer = walk(matcher, random);
    ASSERT_NO_THROW(ASSERT_TRUE(parse_json(answer, "answer").is_object())) << answer;
  }
}

}  // namespace
}  // namespace omg
