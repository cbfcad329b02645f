// SPDX-License-Identifier: Apache-2.0
//
// Bodies of clients against all routes: the first byte of the input chooses the route. What must
// hold: a status that the API documents, and nothing but JSON in its answers.
#include <set>
#include <string>

#include "base/json.h"
#include "base/testing/fuzz_check.h"
#include "daemon/ollama/testing_daemon.h"

namespace omg {
namespace {

struct Route {
  const char* method;
  const char* path;
};
constexpr Route kRoutes[] = {{"POST", "/api/generate"}, {"POST", "/api/chat"},
                             {"POST", "/api/show"},     {"POST", "/api/copy"},
                             {"DELETE", "/api/delete"}, {"POST", "/api/pull"},
                             {"POST", "/api/push"},     {"POST", "/api/create"},
                             {"POST", "/api/embed"},    {"POST", "/api/embeddings"}};

/// What the model says has all that an answer can have.
testing::ScriptedAnswer talk(const ModelCall& call) {
  testing::ScriptedAnswer answer;
  answer.result = testing::some_result();
  answer.result.tokens = {1, 2, 3};
  answer.result.cut_messages = 1;
  if (std::holds_alternative<ChatPrompt>(call.prompt)) {
    const auto& chat = std::get<ChatPrompt>(call.prompt);
    answer.pieces = {testing::reasoning_piece("hm"), testing::content_piece("\xff<&>\x01")};
    // The arguments and the name are the client's own words.
    const std::string words = json::serialize(chat.messages.back());
    answer.pieces.push_back(testing::call_piece(0, words, words));
  } else {
    answer.pieces.emplace_back();
    answer.pieces.back().text = "text";
  }
  answer.pieces.front().tokens = {{1, "\xc3", -0.5f, {{2, "b", -1.0f}}}};
  return answer;
}

void check_answer(const testing::Asked& asked) {
  static const std::set<int> kStatuses = {200, 201, 400, 404, 499, 500, 501, 503};
  CHECK_THAT(kStatuses.count(asked.status) == 1);
  CHECK_THAT(asked.whole);
  if (asked.body.empty()) {
    CHECK_THAT(asked.status == 200);
    return;
  }
  JsonLimits limits;
  limits.max_depth = 400;  // what was at the limit comes back a little deeper
  const bool is_stream = asked.header("Content-Type") == "application/x-ndjson";
  CHECK_THAT(is_stream || asked.header("Content-Type") == "application/json; charset=utf-8");
  const auto lines =
      is_stream ? testing::lines_of(asked.body) : std::vector<std::string>{asked.body};
  CHECK_THAT(!lines.empty());
  for (const std::string& line : lines) {
    CHECK_THAT(parse_json(line, "an answer", limits).is_object());
  }
  const json::value last = parse_json(lines.back(), "the last line", limits);
  if (asked.status != 200) CHECK_THAT(last.as_object().contains("error"));
}

void run(std::string_view input) {
  if (input.empty()) return;
  testing::OllamaDaemon daemon;
  daemon.service.script = talk;
  JobInfo done;
  done.state = JobState::kDone;
  done.files = {{"model.gguf", "sha256:" + std::string(64, 'b'), 10, 10}};
  daemon.jobs.updates = {done};
  const Route& route = kRoutes[static_cast<unsigned char>(input[0]) % std::size(kRoutes)];
  check_answer(testing::ask(daemon.router, route.method, route.path, std::string(input.substr(1))));
}

}  // namespace
}  // namespace omg

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  omg::run({reinterpret_cast<const char*>(data), size});
  return 0;
}
