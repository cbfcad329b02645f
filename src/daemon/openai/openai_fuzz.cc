// SPDX-License-Identifier: Apache-2.0
//
// Requests of any bytes, and a model that says anything: the first byte of the input chooses the
// route and how the answer ends, the rest of its line is what the model does, and then comes the
// body. What must hold: answers are JSON or server-sent events of JSON; their status is one of the
// documented; what reaches a model is within the runtime's ranges; and the same request has the
// same answer.
#include <array>
#include <cstdio>
#include <cstdlib>
#include <limits>

#include "base/testing/fuzz_check.h"
#include "daemon/openai/openai.h"
#include "daemon/requests/testing/fake_services.h"
#include "net/server/testing/ask.h"

namespace omg {
namespace {

using testing::Asked;
using testing::FakeModelService;
using testing::ScriptedAnswer;

constexpr std::array<const char*, 4> kPaths = {"/v1/chat/completions", "/v1/completions",
                                               "/v1/embeddings", "/v1/models/a"};

void check_call(const ModelCall& call) {
  GenerateOptions generate;
  apply(call.parameters, generate);
  generate.sampling.logit_bias = call.logit_bias;
  generate.sampling.top_logprobs = call.top_logprobs;
  try {
    validate(generate);
  } catch (const Error& error) {
    std::fprintf(stderr, "the runtime refuses it: %s\n", error.what());
    std::abort();
  }
  if (const auto* chat = std::get_if<ChatPrompt>(&call.prompt)) {
    CHECK_THAT(!chat->messages.empty());
    for (const json::value& message : chat->messages) {
      CHECK_THAT(message.is_object() && message.at("role").is_string());
    }
  }
}

AnswerPiece piece_of(unsigned char byte) {
  using Kind = OutputEvent::Kind;
  AnswerPiece piece;
  piece.token_count = byte & 3;
  const std::string text = byte & 8 ? "a\"\n" : byte & 16 ? "é" : "";
  piece.text = text;
  switch (byte % 7) {
    case 0:
      piece.events.push_back({Kind::kContent, text, "", "", 0});
      break;
    case 1:
      piece.events.push_back({Kind::kReasoning, text, "", "", 0});
      break;
    case 2:
      piece.events.push_back({Kind::kCallBegin, "", "f\\", byte & 8 ? "i\"d" : "", 0});
      break;
    case 3:
      piece.events.push_back({Kind::kCallArguments, "{}", "", "", 0});
      break;
    case 4:
      piece.events.push_back({Kind::kCallEnd, "", "", byte & 16 ? "x" : "", 0});
      break;
    case 5:
      piece.events.push_back({Kind::kCallAbandoned, "", "", "", 0});
      break;
    default:
      piece.tokens.push_back({byte,
                              std::string(1, static_cast<char>(byte)),
                              byte & 8 ? -std::numeric_limits<float>::infinity() : -0.5f,
                              {{1, "\"", -1e-9f}, {2, "\xff\x01", -3e8f}}});
  }
  return piece;
}

void check_error(const json::object& body) {
  const json::object& error = body.at("error").as_object();
  CHECK_THAT(error.at("message").is_string() && !error.at("message").as_string().empty());
  CHECK_THAT(error.at("type").is_string());
  CHECK_THAT(error.at("param").is_string() || error.at("param").is_null());
  CHECK_THAT(error.at("code").is_string());
}

void check_events(std::string_view body) {
  bool ended = false;
  while (!body.empty()) {
    CHECK_THAT(!ended && body.starts_with("data: "));
    const size_t end = body.find("\n\n");
    CHECK_THAT(end != std::string_view::npos);
    const std::string_view data = body.substr(6, end - 6);
    body.remove_prefix(end + 2);
    ended = data == "[DONE]";
    if (ended) continue;
    const json::object event = parse_json(data, "an event").as_object();
    ended = event.contains("error");
    if (ended) {
      check_error(event);
    } else {
      CHECK_THAT(event.at("choices").is_array());
    }
  }
  CHECK_THAT(ended);
}

void check_answer(const Asked& asked) {
  CHECK_THAT(asked.whole);
  if (asked.header("Content-Type") == "text/event-stream") {
    CHECK_THAT(asked.status == 200);
    check_events(asked.body);
    return;
  }
  const json::object body = parse_json(asked.body, "the answer").as_object();
  switch (asked.status) {
    case 200:
      CHECK_THAT(body.at("choices").is_array());
      break;
    case 400:
    case 404:
    case 501:
    case 503:
      check_error(body);
      break;
    default:
      CHECK_THAT(!"a documented status");
  }
}

Asked answer_once(unsigned char selector, std::string_view script, const std::string& body) {
  FakeModelService models;
  testing::FakeModelCatalog catalog;
  OpenAiParts parts{models, catalog};
  parts.clock = [] { return std::chrono::system_clock::from_time_t(1); };
  parts.random = [] { return uint64_t{7}; };
  HttpRouter router;
  add_openai_routes(router, parts);
  models.script = [&](const ModelCall& call) {
    check_call(call);
    ScriptedAnswer answer;
    for (const char byte : script) {
      answer.pieces.push_back(piece_of(static_cast<unsigned char>(byte)));
    }
    answer.result = testing::some_result();
    if (selector & 16) answer.result.finish_reason = FinishReason::kLength;
    if (selector & 32) answer.result.finish_reason = FinishReason::kCancelled;
    if (selector & 64) answer.error = Error(ErrorCode::kContextLengthExceeded, "too \xff long");
    if (selector & 128) answer.result.warnings = {"adapted \"so\""};
    return answer;
  };
  const char* path = kPaths[selector % kPaths.size()];
  const char* method = selector % kPaths.size() == 3 ? "GET" : "POST";
  HttpServerOptions options;
  options.problem_answer = openai_problem;
  return testing::LocalRequest(router, options, method, path, body).wait();
}

}  // namespace
}  // namespace omg

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t line = std::min(input.find('\n'), size - 1);
  const std::string_view script = line == 0 ? "" : input.substr(1, std::min<size_t>(line, 64) - 1);
  const std::string body(input.substr(line + 1));
  const omg::testing::Asked asked = omg::answer_once(data[0], script, body);
  omg::check_answer(asked);
  const omg::testing::Asked again = omg::answer_once(data[0], script, body);
  if (again.status != asked.status || again.body != asked.body) std::abort();
  return 0;
}
