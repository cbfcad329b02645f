// SPDX-License-Identifier: Apache-2.0
//
// What clients get wrong, each with the status and text that Ollama's have come to expect.
#include <gtest/gtest.h>

#include "daemon/ollama/testing_daemon.h"

namespace omg {
namespace {

using testing::Asked;
using testing::OllamaDaemon;

struct Row {
  const char* method;
  const char* path;
  std::string body;
  int status;
  const char* error;  // how it begins
};

std::string nested(size_t depth) {
  return R"({"model":"m","prompt":)" + std::string(depth, '[') + std::string(depth, ']') + "}";
}

std::string chat_with(const std::string& fields) {
  return R"({"model":"m","messages":[{"role":"user","content":"x"}],)" + fields + "}";
}
std::string with_option(const std::string& option) {
  return R"({"model":"m","prompt":"x","options":{)" + option + "}}";
}

constexpr const char* kGenerate = "/api/generate";
constexpr const char* kChat = "/api/chat";

void check(OllamaDaemon& daemon, const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    const Asked asked = testing::ask(daemon.router, row.method, row.path, row.body);
    const std::string what = std::string(row.path) + " " + row.body.substr(0, 200);
    EXPECT_EQ(asked.status, row.status) << what << "\n" << asked.body;
    EXPECT_EQ(asked.header("Content-Type"), "application/json; charset=utf-8") << what;
    json::object body;
    EXPECT_NO_THROW(body = parse_json(asked.body, what).as_object()) << asked.body;
    ASSERT_TRUE(body.contains("error")) << what << "\n" << asked.body;
    EXPECT_EQ(body.size(), 1u) << what;
    const std::string error(body["error"].as_string());
    EXPECT_EQ(error.substr(0, std::string_view(row.error).size()), row.error) << what;
  }
  EXPECT_TRUE(daemon.service.calls.empty()) << "none of them may reach a model";
}

TEST(OllamaBadRequests, OfBodies) {
  OllamaDaemon daemon;
  std::vector<Row> rows;
  for (const char* path : {kGenerate, kChat, "/api/show", "/api/copy", "/api/pull", "/api/push",
                           "/api/create", "/api/embed", "/api/embeddings"}) {
    rows.push_back({"POST", path, "", 400, "missing request body"});
    rows.push_back({"POST", path, " \n", 400, "missing request body"});
    rows.push_back({"POST", path, "{", 400, "unexpected EOF"});
    rows.push_back({"POST", path, "[]", 400, "json: cannot unmarshal array into Go value of type"});
  }
  const std::vector<Row> more = {
      {"DELETE", "/api/delete", "", 400, "missing request body"},
      {"POST", kGenerate, "model=m", 400, "the request body is not valid JSON"},
      {"POST", kGenerate, "{\"model\":\"m\",}", 400, "the request body is not valid JSON"},
      {"POST", kGenerate, "{\"model\":\"\xff\"}", 400, "the request body is not valid JSON"},
      {"POST", kGenerate, "{\"model\":\"\\ud800\"}", 400, "the request body is not valid JSON"},
      {"POST", kGenerate, "{\"model\":\"m\"} x", 400, "the request body is not valid JSON"},
      {"POST", kGenerate, "{\"model\":\"m\",\"prompt\":NaN}", 400, "the request body is not valid"},
      {"POST", kGenerate, "{'model':'m'}", 400, "the request body is not valid JSON"},
      {"POST", kGenerate, "\"m\"", 400,
       "json: cannot unmarshal string into Go value of type api.GenerateRequest"},
      {"POST", kGenerate, "7", 400, "json: cannot unmarshal number into Go value"},
      {"POST", kGenerate, "true", 400, "json: cannot unmarshal bool into Go value"},
      {"POST", kGenerate, nested(200), 400,
       "json: cannot unmarshal array into Go struct field GenerateRequest.prompt of type string"},
      {"POST", kGenerate, nested(100'000), 400, "the request body is not valid JSON"},
      {"POST", kChat, "null", 400, "model is required"},
  };
  rows.insert(rows.end(), more.begin(), more.end());
  check(daemon, rows);
}

TEST(OllamaBadRequests, OfNames) {
  OllamaDaemon daemon;
  const std::string long_name(2000, 'x');
  const std::vector<Row> rows = {
      {"POST", kGenerate, R"({"prompt":"x"})", 404, "model '' not found"},
      {"POST", kGenerate, R"({"model":"x"})", 404, "model 'x' not found"},
      {"POST", kGenerate, R"({"model":"a/b/../c"})", 400, "invalid model name"},
      {"POST", kGenerate, R"({"model":"a b"})", 400, "invalid model name"},
      {"POST", kGenerate, R"({"model":"a\u0000b"})", 400, "invalid model name"},
      {"POST", kGenerate, R"({"model":"é"})", 400, "invalid model name"},
      {"POST", kGenerate, R"({"model":":x"})", 400, "invalid model name"},
      {"POST", kGenerate, R"({"model":")" + long_name + "\"}", 400, "invalid model name"},
      {"POST", kGenerate, R"({"model":7})", 400,
       "json: cannot unmarshal number into Go struct field GenerateRequest.model of type string"},
      {"POST", kChat, R"({"messages":[]})", 400, "model is required"},
      {"POST", kChat, R"({"model":"x"})", 404, "model 'x' not found"},
      {"POST", kChat, R"({"model":"a b"})", 400, "invalid model name"},
      {"POST", "/api/embed", R"({"model":"x"})", 404,
       "model \"x\" not found, try pulling it first"},
      {"POST", "/api/embed", R"({})", 404, "model '' not found"},
      {"POST", "/api/embed", R"({"model":"m","input":"x"})", 501, "\"m\" does not support embed"},
      {"POST", "/api/embeddings", R"({})", 400, "model is required"},
      {"POST", "/api/embeddings", R"({"model":"x"})", 404, "model \"x\" not found, try pulling"},
      {"POST", "/api/embeddings", R"({"model":"m"})", 501, "\"m\" does not support embeddings"},
      {"POST", "/api/show", R"({})", 400, "model is required"},
      {"POST", "/api/show", R"({"model":"x"})", 404, "model 'x:latest' not found"},
      {"POST", "/api/show", R"({"model":"x:1"})", 404, "model 'x:1' not found"},
      {"POST", "/api/show", R"({"model":"m","verbose":"yes"})", 400,
       "json: cannot unmarshal string into Go struct field ShowRequest.verbose of type bool"},
      {"POST", "/api/copy", R"({"source":"x","destination":"y"})", 404, "model \"x\" not found"},
      {"POST", "/api/copy", R"({"source":"","destination":"y"})", 400, "source \"\" is invalid"},
      {"POST", "/api/copy", R"({"source":"m"})", 400, "destination \"\" is invalid"},
      {"POST", "/api/copy", R"({"source":"m","destination":"a b"})", 400,
       "destination \"a b\" is invalid"},
      {"DELETE", "/api/delete", R"({})", 400, "model is required"},
      {"DELETE", "/api/delete", R"({"model":"x"})", 404, "model 'x' not found"},
      {"DELETE", "/api/delete", R"({"name":"a b"})", 400, "name \"a b\" is invalid"},
      {"POST", "/api/pull", R"({})", 400, "invalid model name"},
      {"POST", "/api/pull", R"({"model":"../x"})", 400, "invalid model name"},
      {"POST", "/api/pull", R"({"model":"x","stream":1})", 400,
       "json: cannot unmarshal number into Go struct field PullRequest.stream of type bool"},
      {"POST", "/api/pull", R"({"model":"x","insecure":"no"})", 400, "json: cannot unmarshal"},
      {"POST", "/api/push", R"({})", 400, "model is required"},
      {"POST", "/api/push", R"({"model":"a b"})", 400, "invalid model name"},
      {"POST", "/api/create", R"({"from":"m"})", 400, "invalid model name"},
      {"POST", "/api/create", R"({"model":"n"})", 400, "neither 'from' or 'files' was specified"},
      {"POST", "/api/create", R"({"model":"n","from":"a b"})", 400, "invalid model name"},
      {"POST", "/api/create", R"({"model":"n","files":{"a":"md5:1"}})", 400,
       "invalid digest format of \"a\""},
      {"POST", "/api/create", R"({"model":"n","files":{"a":1}})", 400, "invalid digest format"},
      {"POST", "/api/create", R"({"model":"n","files":[]})", 400, "json: cannot unmarshal array"},
      {"POST", "/api/create", R"({"model":"n","from":"m","parameters":{"x":1}})", 400,
       "unknown parameter 'x'"},
      {"POST", "/api/create", R"({"model":"n","from":"m","parameters":{"top_p":3}})", 400,
       "top_p cannot be '3"},
      {"POST", "/api/create", R"({"model":"n","from":"m","license":[1]})", 400,
       "json: cannot unmarshal number into Go struct field CreateRequest.license of type string"},
      {"POST", "/api/create", R"({"model":"n","from":"m","messages":["x"]})", 400,
       "json: cannot unmarshal string into Go struct field CreateRequest.messages"},
      {"POST", "/api/create", R"({"model":"n","from":"m","remote_host":"h"})", 400,
       "remote_host is not supported here"},
  };
  check(daemon, rows);
  EXPECT_TRUE(daemon.jobs.pulls.empty() && daemon.jobs.creates.empty());
}

TEST(OllamaBadRequests, OfOptions) {
  OllamaDaemon daemon;
  const auto status = [](const std::string& option, int code, const char* error) {
    return Row{"POST", kGenerate, with_option(option), code, error};
  };
  std::string many_stops = R"("stop":["x")";
  for (int i = 0; i < 64; ++i) many_stops += R"(,"x")";
  many_stops += "]";
  check(daemon,
        {
            status(R"("num_ctx":"4")", 500, "option \"num_ctx\" must be of type integer"),
            status(R"("num_ctx":true)", 500, "option \"num_ctx\" must be of type integer"),
            status(R"("num_ctx":[1])", 500, "option \"num_ctx\" must be of type integer"),
            status(R"("num_gpu":"all")", 500, "option \"num_gpu\" must be of type integer"),
            status(R"("num_thread":{})", 500, "option \"num_thread\" must be of type integer"),
            status(R"("use_mmap":1)", 500, "option \"use_mmap\" must be of type boolean"),
            status(R"("temperature":"hot")", 500, "option \"temperature\" must be of type float32"),
            status(R"("top_p":false)", 500, "option \"top_p\" must be of type float32"),
            status(R"("stop":"x")", 500, "option \"stop\" must be of type array"),
            status(R"("stop":["x",1])", 500, "option \"stop\" must be of an array of strings"),
            status(R"("seed":"1")", 500, "option \"seed\" must be of type integer"),
            status(R"("num_ctx":-1)", 400, "option \"num_ctx\" is out of range"),
            status(R"("num_ctx":1e300)", 400, "option \"num_ctx\" is out of range"),
            status(R"("num_ctx":99999999999)", 400, "option \"num_ctx\" is out of range"),
            status(R"("num_ctx":18446744073709551615)", 400, "option \"num_ctx\" is out of"),
            status(R"("num_keep":-5)", 400, "option \"num_keep\" is out of range"),
            status(R"("seed":1e19)", 400, "option \"seed\" is out of range"),
            status(R"("temperature":-1)", 400, "option \"temperature\" is out of range"),
            status(R"("temperature":1e9)", 400, "option \"temperature\" is out of range"),
            status(R"("top_p":1.5)", 400, "option \"top_p\" is out of range"),
            status(R"("min_p":-0.1)", 400, "option \"min_p\" is out of range"),
            status(R"("typical_p":2)", 400, "option \"typical_p\" is out of range"),
            status(R"("repeat_penalty":0)", 400, "option \"repeat_penalty\" is out of range"),
            status(R"("presence_penalty":1000)", 400, "option \"presence_penalty\" is out of"),
            status(R"("repeat_last_n":-2)", 400, "option \"repeat_last_n\" is out of range"),
            status(R"("top_k":5e9)", 400, "option \"top_k\" is out of range"),
            status(many_stops, 400, "option \"stop\" is out of range"),
            status(R"("stop":[")" + std::string(2000, 'x') + "\"]", 400,
                   "option \"stop\" is out of range"),
            {"POST", kGenerate, R"({"model":"m","prompt":"x","options":[]})", 400,
             "json: cannot unmarshal array into Go struct field GenerateRequest.options"},
            {"POST", kGenerate, R"({"model":"m","prompt":"x","options":7})", 400,
             "json: cannot unmarshal number into Go struct field GenerateRequest.options"},
            {"POST", "/api/show", R"({"model":"m","options":{"num_ctx":"x"}})", 500,
             "option \"num_ctx\" must be of type integer"},
        });
}

TEST(OllamaBadRequests, OfFields) {
  OllamaDaemon daemon;
  auto& plain = daemon.catalog.add("plain:latest");
  plain.capabilities = plain.model.capabilities = {"completion"};
  auto& embedder = daemon.catalog.add("embedder:latest");
  embedder.capabilities = embedder.model.capabilities = {"embedding"};
  auto& base = daemon.catalog.add("org/base");
  base.chat_template = "";
  base.capabilities = base.model.capabilities = {"completion"};
  const auto generate = [](const std::string& fields, const char* error) {
    return Row{"POST", kGenerate, R"({"model":"m","prompt":"x",)" + fields + "}", 400, error};
  };
  const auto chat = [](const std::string& fields, const char* error) {
    return Row{"POST", kChat, chat_with(fields), 400, error};
  };
  const auto message = [](const std::string& fields, const char* error) {
    return Row{"POST", kChat, R"({"model":"m","messages":[{)" + fields + "}]}", 400, error};
  };
  check(
      daemon,
      {
          generate(R"("raw":true,"system":"s")",
                   "raw mode does not support template, system, or context"),
          generate(R"("raw":true,"context":[1])", "raw mode does not support template, system"),
          generate(R"("raw":true,"template":"t")", "raw mode does not support template, system"),
          generate(R"("template":"{{ .Prompt }}")", "a template cannot be given with a request"),
          generate(R"("images":["aGk="])", "\"m\" does not support images"),
          generate(R"("images":"aGk=")", "json: cannot unmarshal string into Go struct field"),
          generate(R"("context":"x")", "json: cannot unmarshal string into Go struct field"),
          generate(R"("context":["x"])",
                   "json: cannot unmarshal string into Go struct field "
                   "GenerateRequest.context of type int"),
          generate(R"("context":[1.5])", "json: cannot unmarshal number into Go struct field"),
          generate(R"("context":[-1])", "context has -1, which is no token"),
          generate(R"("context":[4294967296])", "context has 4294967296, which is no token"),
          generate(R"("stream":"true")", "json: cannot unmarshal string into Go struct field"),
          generate(R"("raw":1)", "json: cannot unmarshal number into Go struct field"),
          generate(R"("suffix":[])", "json: cannot unmarshal array into Go struct field"),
          generate(R"("format":"yaml")", "invalid format: \"\\\"yaml\\\"\"; expected \"json\""),
          generate(R"("format":7)", "invalid format: \"7\"; expected \"json\" or a valid JSON"),
          generate(R"("format":["json"])", "invalid format: "),
          generate(R"("think":"maybe")", "invalid think value: \"maybe\" (must be \"high\""),
          generate(R"("think":"")", "invalid think value: \"\""),
          generate(R"("think":1)", "think must be a boolean or string"),
          generate(R"("think":{})", "think must be a boolean or string"),
          generate(R"("logprobs":true,"top_logprobs":21)", "top_logprobs must be between 0 and 20"),
          generate(R"("top_logprobs":-1)", "top_logprobs must be between 0 and 20"),
          generate(R"("top_logprobs":1.5)", "json: cannot unmarshal number into Go struct field"),
          generate(R"("logprobs":3)", "json: cannot unmarshal number into Go struct field"),
          generate(R"("keep_alive":"-1")", "time: missing unit in duration \"-1\""),
          generate(R"("keep_alive":"")", "time: invalid duration \"\""),
          generate(R"("keep_alive":"5x")", "time: unknown unit \"x\" in duration \"5x\""),
          generate(R"("keep_alive":"soon")", "time: invalid duration \"soon\""),
          generate(R"("keep_alive":"1.2.3s")", "time: invalid duration \"1.2.3s\""),
          generate(R"("keep_alive":true)", "Unsupported type: 'bool'"),
          generate(R"("keep_alive":[1])", "Unsupported type: '[]interface {}'"),
          generate(R"("keep_alive":{})", "Unsupported type: 'map[string]interface {}'"),
          generate(R"("truncate":"no")", "json: cannot unmarshal string into Go struct field"),
          {"POST", kGenerate, R"({"model":"plain","prompt":"x","think":true})", 400,
           "\"plain\" does not support thinking"},
          {"POST", kGenerate, R"({"model":"plain","prompt":"x","suffix":"y"})", 400,
           "registry.ollama.ai/library/plain:latest does not support insert"},
          {"POST", kGenerate, R"({"model":"embedder","prompt":"x"})", 400,
           "\"embedder\" does not support generate"},
          {"POST", kChat, R"({"model":"embedder","messages":[{"role":"user","content":"x"}]})", 400,
           "\"embedder\" does not support chat"},
          {"POST", kChat, R"({"model":"org/base","messages":[{"role":"user","content":"x"}]})", 400,
           "\"org/base\" does not support chat: it has no chat template"},
          {"POST", kChat,
           R"({"model":"plain","messages":[{"role":"user","content":"x"}],)"
           R"("tools":[{"function":{"name":"f"}}]})",
           400, "registry.ollama.ai/library/plain:latest does not support tools"},
          {"POST", kChat, R"({"model":"m","messages":{}})", 400,
           "json: cannot unmarshal object into Go struct field ChatRequest.messages"},
          {"POST", kChat, R"({"model":"m","messages":["x"]})", 400,
           "json: cannot unmarshal string into Go struct field ChatRequest.messages of type "
           "api.Message"},
          message(R"("role":"user","content":[{"type":"text"}])",
                  "json: cannot unmarshal array into Go struct field Message.content of type"),
          message(R"("role":1,"content":"x")",
                  "json: cannot unmarshal number into Go struct field"),
          message(R"("role":"user","content":"x","images":["aGk="])",
                  "\"m\" does not support image"),
          message(R"("role":"assistant","tool_calls":{})", "json: cannot unmarshal object"),
          message(R"("role":"assistant","tool_calls":[1])", "json: cannot unmarshal number"),
          message(R"("role":"assistant","tool_calls":[{"function":{"name":"f","arguments":"{}"}}])",
                  "json: cannot unmarshal string into Go struct field ToolCallFunction.arguments"),
          message(R"("role":"assistant","tool_calls":[{"function":{"name":5}}])",
                  "json: cannot unmarshal number into Go struct field ToolCallFunction.name"),
          chat(R"("tools":{})", "json: cannot unmarshal object into Go struct field"),
          chat(R"("tools":["f"])", "json: cannot unmarshal string into Go struct field"),
          chat(R"("tools":[{}])", "a tool has no function"),
          chat(R"("tools":[{"function":{}}])", "a tool's function has no name"),
          chat(R"("tools":[{"function":{"name":"f","parameters":"x"}}])",
               "json: cannot unmarshal string into Go struct field ToolFunction.parameters"),
          chat(R"("format":"xml")", "invalid format: "),
          chat(R"("think":"extreme")", "invalid think value: \"extreme\""),
          chat(R"("keep_alive":"-1")", "time: missing unit in duration \"-1\""),
          chat(R"("shift":0)", "json: cannot unmarshal number into Go struct field"),
      });
}

}  // namespace
}  // namespace omg
