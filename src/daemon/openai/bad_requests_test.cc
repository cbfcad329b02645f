// SPDX-License-Identifier: Apache-2.0
//
// What is no good request, each with its status, code and field. Nothing of it reaches a model.
#include "daemon/openai/test_support.h"

namespace omg {
namespace {

using testing::Asked;

/// A valid chat (or completion), and after it `fields`: the last value of a key counts.
struct Row {
  std::string fields;
  const char* code;
  const char* param;
};

constexpr const char* kType = "invalid_type";
constexpr const char* kValue = "invalid_value";
constexpr const char* kMissing = "missing_required_parameter";
constexpr const char* kUnsupported = "unsupported_parameter";

class OpenAiBadRequests : public testing::OpenAiRoutes<testing::FakeModelService> {
 protected:
  void expect_refused(const std::string& path, const std::string& body, const char* code,
                      const char* param, int status = 400) {
    const Asked asked = post(path, body);
    const std::string shown = body.substr(0, 200);
    EXPECT_EQ(asked.status, status) << shown << "\n" << asked.body;
    const json::object answer = testing::object_of(asked.body);
    const json::value& error = answer.at("error");
    EXPECT_EQ(testing::text_of(error.at("type")), "invalid_request_error") << shown;
    EXPECT_EQ(testing::text_of(error.at("code")), code) << shown << "\n" << asked.body;
    const json::value& field = error.at("param");
    EXPECT_EQ(field.is_null() ? "" : testing::text_of(field), param) << shown << "\n" << asked.body;
    EXPECT_FALSE(testing::text_of(error.at("message")).empty());
    EXPECT_LT(asked.body.size(), 2000u);
    EXPECT_TRUE(models.calls.empty()) << shown;
    models.calls.clear();
  }
};

TEST_F(OpenAiBadRequests, Bodies) {
  const std::string deep = std::string(500, '[') + std::string(500, ']');
  for (const std::string& body : std::vector<std::string>{"",
                                                          " \n ",
                                                          "null",
                                                          "[]",
                                                          "\"x\"",
                                                          "5",
                                                          "true",
                                                          "{",
                                                          "{}}",
                                                          "{} {}",
                                                          "{\"model\":}",
                                                          "{'model':'m'}",
                                                          "{\"model\":\"m\",}",
                                                          "{\"model\":NaN}",
                                                          "{\"seed\":Infinity}",
                                                          "{\"seed\":01}",
                                                          "{\"seed\":+1}",
                                                          "{\"seed\":.5}",
                                                          "{\"model\":\"\xff\"}",
                                                          "{\"model\":\"\xc0\xaf\"}",
                                                          "{\"model\":\"\xed\xa0\x80\"}",
                                                          "{\"model\":\"\\ud800\"}",
                                                          "{\"model\":\"a\nb\"}",
                                                          "{\"model\":\"\\x\"}",
                                                          "{\"a\":" + deep + "}",
                                                          "{\"model\":\"m\"",
                                                          "\xef\xbb\xbf{}",
                                                          "/* c */{}",
                                                          std::string("{\0}", 3),
                                                          "model=m&prompt=x"}) {
    expect_refused("/v1/chat/completions", body, "invalid_body", "");
    expect_refused("/v1/completions", body, "invalid_body", "");
  }
}

TEST_F(OpenAiBadRequests, FieldsOfBoth) {
  const std::string long_name(1025, 'm');
  std::string many_biases = "\"logit_bias\":{";
  for (int i = 0; i <= 1024; ++i) many_biases += (i ? ",\"" : "\"") + std::to_string(i) + "\":1";
  many_biases += "}";
  std::string many_stops = "\"stop\":[";
  for (int i = 0; i <= 64; ++i) many_stops += i ? ",\"x\"" : "\"x\"";
  many_stops += "]";
  for (const Row& row : std::initializer_list<Row>{
           {R"("model":null)", kMissing, "model"},
           {R"("model":5)", kType, "model"},
           {R"("model":["m"])", kType, "model"},
           {R"("model":"")", kValue, "model"},
           {"\"model\":\"" + long_name + "\"", kValue, "model"},
           {R"("temperature":"1")", kType, "temperature"},
           {R"("temperature":true)", kType, "temperature"},
           {R"("temperature":-0.1)", kValue, "temperature"},
           {R"("temperature":2.1)", kValue, "temperature"},
           {R"("temperature":1e999)", kValue, "temperature"},
           {R"("temperature":-1e999)", kValue, "temperature"},
           {R"("temperature":18446744073709551616)", kValue, "temperature"},
           {R"("top_p":-1)", kValue, "top_p"},
           {R"("top_p":1.5)", kValue, "top_p"},
           {R"("top_p":{})", kType, "top_p"},
           {R"("presence_penalty":3)", kValue, "presence_penalty"},
           {R"("presence_penalty":"x")", kType, "presence_penalty"},
           {R"("frequency_penalty":-3)", kValue, "frequency_penalty"},
           {R"("frequency_penalty":[])", kType, "frequency_penalty"},
           {R"("seed":1.5)", kValue, "seed"},
           {R"("seed":-2)", kValue, "seed"},
           {R"("seed":9007199254740992)", kValue, "seed"},
           {R"("seed":99999999999999999999999)", kValue, "seed"},
           {R"("seed":"1")", kType, "seed"},
           {R"("stop":5)", kType, "stop"},
           {R"("stop":[5])", kType, "stop[0]"},
           {R"("stop":["a",null])", kType, "stop[1]"},
           {R"("stop":"")", kValue, "stop[0]"},
           {R"("stop":["a",""])", kValue, "stop[1]"},
           {"\"stop\":\"" + long_name + "\"", kValue, "stop[0]"},
           {many_stops, kValue, "stop"},
           {R"("logit_bias":[])", kType, "logit_bias"},
           {R"("logit_bias":{"x":1})", kValue, "logit_bias"},
           {R"("logit_bias":{"":1})", kValue, "logit_bias"},
           {R"("logit_bias":{"-1":1})", kValue, "logit_bias"},
           {R"("logit_bias":{"2147483648":1})", kValue, "logit_bias"},
           {R"("logit_bias":{"99999999999999999999":1})", kValue, "logit_bias"},
           {R"("logit_bias":{"1":101})", kValue, "logit_bias.1"},
           {R"("logit_bias":{"1":"1"})", kType, "logit_bias.1"},
           {R"("logit_bias":{"1":null})", kType, "logit_bias.1"},
           {many_biases, kValue, "logit_bias"},
           {R"("stream":"true")", kType, "stream"},
           {R"("stream":1)", kType, "stream"},
           {R"("stream_options":{})", kValue, "stream_options"},
           {R"("stream":true,"stream_options":[])", kType, "stream_options"},
           {R"("stream":true,"stream_options":{"include_usage":1})", kType,
            "stream_options.include_usage"},
           {R"("stream":true,"stream_options":{"x":1})", kUnsupported, "stream_options.x"},
           {R"("n":0)", kValue, "n"},
           {R"("n":-1)", kValue, "n"},
           {R"("n":17)", kValue, "n"},
           {R"("n":1.5)", kValue, "n"},
           {R"("n":"1")", kType, "n"},
           {R"("top_k":-1)", kValue, "top_k"},
           {R"("top_k":2147483648)", kValue, "top_k"},
           {R"("min_p":1.1)", kValue, "min_p"},
           {R"("typical_p":-0.1)", kValue, "typical_p"},
           {R"("repeat_penalty":0)", kValue, "repeat_penalty"},
           {R"("repetition_penalty":101)", kValue, "repetition_penalty"},
           {R"("repeat_penalty":1.1,"repetition_penalty":1.2)", kValue, "repetition_penalty"},
           {R"("repeat_last_n":-2)", kValue, "repeat_last_n"},
           {R"("keep_alive":"soon")", kValue, "keep_alive"},
           {R"("keep_alive":true)", kType, "keep_alive"},
           {R"("keep_alive":{})", kType, "keep_alive"},
           {R"("user":5)", kType, "user"},
           {R"("metadata":[])", kType, "metadata"},
           {R"("metadata":{"a":1})", kType, "metadata"},
           {R"("store":true)", kUnsupported, "store"},
           {R"("store":"no")", kType, "store"},
           {R"("service_tier":"flex")", kValue, "service_tier"},
           {R"("service_tier":5)", kType, "service_tier"},
           {R"("verbosity":"low")", kValue, "verbosity"},
           {R"("modalities":["text","audio"])", kValue, "modalities"},
           {R"("prompt_cache_retention":"24h")", kValue, "prompt_cache_retention"},
           {R"("prompt_cache_options":{})", kUnsupported, "prompt_cache_options"},
           {R"("min_tokens":5)", kUnsupported, "min_tokens"},
           {R"("options":{"num_ctx":5})", kUnsupported, "options"},
           {R"("unknown":null)", kUnsupported, "unknown"},
           {R"("Temperature":1)", kUnsupported, "Temperature"},
           {R"("":1)", kUnsupported, ""},
           {R"("logprobs":"yes")", kType, "logprobs"},
           {R"("response_format":"json")", kType, "response_format"},
           {R"("response_format":{})", kMissing, "response_format.type"},
           {R"("response_format":{"type":"xml"})", kValue, "response_format.type"},
           {R"("response_format":{"type":"text","x":1})", kUnsupported, "response_format.x"},
           {R"("response_format":{"type":"json_object","schema":5})", kType,
            "response_format.schema"},
           {R"("response_format":{"type":"json_schema"})", kMissing, "response_format.json_schema"},
           {R"("response_format":{"type":"json_schema","json_schema":{"name":"n"}})", kMissing,
            "response_format.json_schema.schema"},
           {R"("response_format":{"type":"json_schema","json_schema":{"schema":true}})", kType,
            "response_format.json_schema.schema"},
           {R"("response_format":{"type":"json_schema","json_schema":{"schema":{},"strict":1}})",
            kType, "response_format.json_schema.strict"},
           {R"("response_format":{"type":"json_schema","json_schema":{"schema":{},"x":1}})",
            kUnsupported, "response_format.json_schema.x"},
           {R"("grammar":"")", kValue, "grammar"},
           {R"("grammar":{})", kType, "grammar"},
           {R"("regex":"a","grammar":"root ::= \"a\"")", kValue, "regex"},
           {R"("regex":"a","guided_regex":"a")", kValue, "guided_regex"},
           {R"("regex":"a","response_format":{"type":"json_object"})", kValue, "regex"},
           {R"("max_tokens":-2)", kValue, "max_tokens"},
           {R"("max_tokens":2147483648)", kValue, "max_tokens"},
           {R"("max_tokens":"5")", kType, "max_tokens"},
           {R"("max_tokens":0.5)", kValue, "max_tokens"}}) {
    if (std::string_view(row.param).empty()) {  // a key of no letters is the body's own path
      expect_refused("/v1/chat/completions", chat_body(row.fields), "invalid_body", "");
      continue;
    }
    expect_refused("/v1/chat/completions", chat_body(row.fields), row.code, row.param);
    expect_refused("/v1/completions", R"({"model":"m","prompt":"x",)" + row.fields + "}", row.code,
                   row.param);
  }
}

TEST_F(OpenAiBadRequests, FieldsOfChats) {
  const std::string tool = R"({"type":"function","function":{"name":"f"}})";
  std::string many_tools = "\"tools\":[";
  for (int i = 0; i <= 512; ++i) many_tools += (i ? "," : "") + tool;
  many_tools += "]";
  for (const Row& row : std::initializer_list<Row>{
           {R"("max_tokens":0)", kValue, "max_tokens"},
           {R"("max_completion_tokens":0)", kValue, "max_completion_tokens"},
           {R"("max_completion_tokens":-5)", kValue, "max_completion_tokens"},
           {R"("max_tokens":1,"max_completion_tokens":2)", kValue, "max_tokens"},
           {R"("logprobs":1)", kType, "logprobs"},
           {R"("top_logprobs":2)", kValue, "top_logprobs"},
           {R"("logprobs":true,"top_logprobs":21)", kValue, "top_logprobs"},
           {R"("logprobs":true,"top_logprobs":-1)", kValue, "top_logprobs"},
           {R"("logprobs":true,"top_logprobs":"2")", kType, "top_logprobs"},
           {R"("reasoning_effort":"huge")", kValue, "reasoning_effort"},
           {R"("reasoning_effort":true)", kType, "reasoning_effort"},
           {R"("reasoning":"high")", kType, "reasoning"},
           {R"("reasoning":{"effort":"x"})", kValue, "reasoning.effort"},
           {R"("reasoning":{"summary":"auto"})", kUnsupported, "reasoning.summary"},
           {R"("reasoning_effort":"low","reasoning":{"effort":"high"})", kValue, "reasoning"},
           {R"("chat_template_kwargs":5)", kType, "chat_template_kwargs"},
           {R"("chat_template_kwargs":{"messages":[]})", kValue, "chat_template_kwargs.messages"},
           {R"("chat_template_kwargs":{"tools":[]})", kValue, "chat_template_kwargs.tools"},
           {R"("tools":{})", kType, "tools"},
           {R"("tools":[5])", kType, "tools[0]"},
           {R"("tools":[{}])", kMissing, "tools[0].type"},
           {R"("tools":[{"type":"custom","custom":{"name":"f"}}])", kValue, "tools[0].type"},
           {R"("tools":[{"type":"function"}])", kMissing, "tools[0].function"},
           {R"("tools":[{"type":"function","function":5}])", kType, "tools[0].function"},
           {R"("tools":[{"type":"function","function":{}}])", kMissing, "tools[0].function.name"},
           {R"("tools":[{"type":"function","function":{"name":""}}])", kValue,
            "tools[0].function.name"},
           {R"("tools":[{"type":"function","function":{"name":"a b"}}])", kValue,
            "tools[0].function.name"},
           {"\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"" + std::string(129, 'f') +
                "\"}}]",
            kValue, "tools[0].function.name"},
           {R"("tools":[{"type":"function","function":{"name":"f","parameters":[]}}])", kType,
            "tools[0].function.parameters"},
           {R"("tools":[{"type":"function","function":{"name":"f","strict":"yes"}}])", kType,
            "tools[0].function.strict"},
           {R"("tools":[{"type":"function","function":{"name":"f","x":1}}])", kUnsupported,
            "tools[0].function.x"},
           {R"("tools":[{"type":"function","function":{"name":"f"},"x":1}])", kUnsupported,
            "tools[0].x"},
           {"\"tools\":[" + tool + "," + tool + "]", kValue, "tools[1].function.name"},
           {many_tools, kValue, "tools"},
           {R"("tool_choice":"maybe")", kValue, "tool_choice"},
           {R"("tool_choice":5)", kType, "tool_choice"},
           {R"("tool_choice":"required")", kValue, "tool_choice"},
           {R"("tool_choice":{})", kMissing, "tool_choice.type"},
           {R"("tool_choice":{"type":"allowed_tools"})", kValue, "tool_choice.type"},
           {R"("tool_choice":{"type":"function","function":{}})", kMissing,
            "tool_choice.function.name"},
           {"\"tools\":[" + tool + R"(],"tool_choice":{"type":"function","function":{"name":"g"}})",
            kValue, "tool_choice.function.name"},
           {R"("parallel_tool_calls":"no")", kType, "parallel_tool_calls"},
           {R"("functions":[])", kUnsupported, "functions"},
           {R"("function_call":"auto")", kUnsupported, "function_call"},
           {R"("audio":{"voice":"alloy"})", kUnsupported, "audio"},
           {R"("prediction":{"type":"content","content":"x"})", kUnsupported, "prediction"},
           {R"("web_search_options":{})", kUnsupported, "web_search_options"},
           {R"("moderation":{})", kUnsupported, "moderation"},
           {R"("best_of":2)", kUnsupported, "best_of"},
           {R"("prompt":"x")", kUnsupported, "prompt"},
           {R"("echo":true)", kUnsupported, "echo"},
           {R"("suffix":"x")", kUnsupported, "suffix"}}) {
    expect_refused("/v1/chat/completions", chat_body(row.fields), row.code, row.param);
  }
}

TEST_F(OpenAiBadRequests, Messages) {
  const std::string user = R"({"role":"user","content":"x"})";
  for (const Row& row : std::initializer_list<Row>{
           {"null", kMissing, "messages"},
           {"{}", kType, "messages"},
           {"\"x\"", kType, "messages"},
           {"[]", kValue, "messages"},
           {"[null]", kType, "messages[0]"},
           {"[\"x\"]", kType, "messages[0]"},
           {"[" + user + ",5]", kType, "messages[1]"},
           {"[{}]", kMissing, "messages[0].role"},
           {R"([{"role":5,"content":"x"}])", kType, "messages[0].role"},
           {R"([{"role":"User","content":"x"}])", kValue, "messages[0].role"},
           {R"([{"role":"function","name":"f","content":"x"}])", kValue, "messages[0].role"},
           {R"([{"role":"user"}])", kMissing, "messages[0].content"},
           {R"([{"role":"user","content":null}])", kMissing, "messages[0].content"},
           {R"([{"role":"user","content":5}])", kType, "messages[0].content"},
           {R"([{"role":"user","content":{}}])", kType, "messages[0].content"},
           {R"([{"role":"user","content":[]}])", kValue, "messages[0].content"},
           {R"([{"role":"user","content":["x"]}])", kType, "messages[0].content[0]"},
           {R"([{"role":"user","content":[{}]}])", kMissing, "messages[0].content[0].type"},
           {R"([{"role":"user","content":[{"type":"text"}]}])", kMissing,
            "messages[0].content[0].text"},
           {R"([{"role":"user","content":[{"type":"text","text":5}]}])", kType,
            "messages[0].content[0].text"},
           {R"([{"role":"user","content":[{"type":"text","text":"x","y":1}]}])", kUnsupported,
            "messages[0].content[0].y"},
           {R"([{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:"}}]}])",
            kValue, "messages[0].content[0].type"},
           {R"([{"role":"user","content":[{"type":"text","text":"x"},{"type":"input_audio"}]}])",
            kValue, "messages[0].content[1].type"},
           {R"([{"role":"user","content":[{"type":"file"}]}])", kValue,
            "messages[0].content[0].type"},
           {R"([{"role":"user","content":[{"type":"refusal","refusal":"x"}]}])", kValue,
            "messages[0].content[0].type"},
           {R"([{"role":"user","content":"x","name":5}])", kType, "messages[0].name"},
           {R"([{"role":"user","content":"x","images":[]}])", kUnsupported, "messages[0].images"},
           {R"([{"role":"user","content":"x","tool_calls":[]}])", kUnsupported,
            "messages[0].tool_calls"},
           {R"([{"role":"system"}])", kMissing, "messages[0].content"},
           {R"([{"role":"tool","content":"x"}])", kMissing, "messages[0].tool_call_id"},
           {R"([{"role":"tool","content":"x","tool_call_id":5}])", kType,
            "messages[0].tool_call_id"},
           {R"([{"role":"assistant"}])", kMissing, "messages[0].content"},
           {R"([{"role":"assistant","content":"x","refusal":"y"}])", kValue, "messages[0].refusal"},
           {R"([{"role":"assistant","content":"x","audio":{"id":"a"}}])", kUnsupported,
            "messages[0].audio"},
           {R"([{"role":"assistant","content":"x","function_call":{"name":"f"}}])", kUnsupported,
            "messages[0].function_call"},
           {R"([{"role":"assistant","reasoning_content":5,"content":"x"}])", kType,
            "messages[0].reasoning_content"},
           {R"([{"role":"assistant","tool_calls":5}])", kType, "messages[0].tool_calls"},
           {R"([{"role":"assistant","tool_calls":[5]}])", kType, "messages[0].tool_calls[0]"},
           {R"([{"role":"assistant","tool_calls":[{}]}])", kMissing,
            "messages[0].tool_calls[0].id"},
           {R"([{"role":"assistant","tool_calls":[{"id":"c","type":"custom"}]}])", kValue,
            "messages[0].tool_calls[0].type"},
           {R"([{"role":"assistant","tool_calls":[{"id":"c","type":"function"}]}])", kMissing,
            "messages[0].tool_calls[0].function"},
           {R"([{"role":"assistant","tool_calls":[{"id":"c","function":{"name":"f"}}]}])", kMissing,
            "messages[0].tool_calls[0].function.arguments"},
           {R"([{"role":"assistant","tool_calls":[{"id":"c","function":)"
            R"({"name":"f","arguments":{}}}]}])",
            kType, "messages[0].tool_calls[0].function.arguments"}}) {
    expect_refused("/v1/chat/completions", chat_body("\"messages\":" + row.fields), row.code,
                   row.param);
  }
}

TEST_F(OpenAiBadRequests, FieldsOfCompletions) {
  std::string many = "[\"x\"";
  for (int i = 0; i < 64; ++i) many += ",\"x\"";
  many += "]";
  for (const Row& row : std::initializer_list<Row>{
           {R"("prompt":null)", kMissing, "prompt"},
           {R"("prompt":5)", kType, "prompt"},
           {R"("prompt":{})", kType, "prompt"},
           {R"("prompt":[])", kValue, "prompt"},
           {R"("prompt":["x",5])", kType, "prompt[1]"},
           {R"("prompt":[5,"x"])", kType, "prompt[1]"},
           {R"("prompt":[-1])", kValue, "prompt[0]"},
           {R"("prompt":[1.5])", kValue, "prompt[0]"},
           {R"("prompt":[2147483648])", kValue, "prompt[0]"},
           {R"("prompt":[[]])", kValue, "prompt[0]"},
           {R"("prompt":[[1],[2,null]])", kType, "prompt[1][1]"},
           {R"("prompt":[null])", kType, "prompt[0]"},
           {R"("prompt":[true])", kType, "prompt[0]"},
           {"\"prompt\":" + many, kValue, "prompt"},
           {R"("prompt":["a","b","c","d","e"],"n":16)", kValue, "n"},
           {R"("prompt":[1],"suffix":"x")", kValue, "suffix"},
           {R"("suffix":5)", kType, "suffix"},
           {R"("best_of":2)", kUnsupported, "best_of"},
           {R"("best_of":0)", kValue, "best_of"},
           {R"("n":2,"best_of":1)", kUnsupported, "best_of"},
           {R"("logprobs":6)", kValue, "logprobs"},
           {R"("logprobs":-1)", kValue, "logprobs"},
           {R"("logprobs":true)", kType, "logprobs"},
           {R"("logprobs":1,"echo":true)", kUnsupported, "logprobs"},
           {R"("echo":1)", kType, "echo"},
           {R"("messages":[])", kUnsupported, "messages"},
           {R"("tools":[])", kUnsupported, "tools"},
           {R"("max_completion_tokens":5)", kUnsupported, "max_completion_tokens"},
           {R"("reasoning_effort":"low")", kUnsupported, "reasoning_effort"}}) {
    expect_refused("/v1/completions", R"({"model":"m","prompt":"x",)" + row.fields + "}", row.code,
                   row.param);
  }
}

TEST_F(OpenAiBadRequests, NamesOfModels) {
  for (const char* path : {"/v1/models/%20", "/v1/models/a%20"}) {
    const int status = get(path).status;
    EXPECT_TRUE(status == 400 || status == 404) << path << ": " << status;
  }
}

}  // namespace
}  // namespace omg
