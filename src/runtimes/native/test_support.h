// SPDX-License-Identifier: Apache-2.0
//
// Asking a native model and waiting for the answer, for the tests of this folder.
#pragma once

#include <future>
#include <gtest/gtest.h>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/utf8.h"
#include "runtimes/native/fake_model.h"
#include "runtimes/native/native_model.h"

namespace omg::testing {

/// A whole answer.
struct Answer {
  AnswerResult result;
  std::string text;
  uint32_t tokens = 0;  // that pieces count
  std::vector<AnswerToken> token_list;
  ParsedOutput output;
  std::optional<Error> error;
};

/// An answer on its way. The model must outlive it.
class PendingAnswer {
 public:
  PendingAnswer(Model& model, AnswerRequest request) {
    AnswerSink sink;
    sink.on_piece = [this](AnswerPiece&& piece) {
      EXPECT_TRUE(is_valid_utf8(piece.text));
      answer_.text += piece.text;
      answer_.tokens += piece.token_count;
      for (AnswerToken& token : piece.tokens) answer_.token_list.push_back(std::move(token));
      for (const OutputEvent& event : piece.events) answer_.output.add(event);
      if (on_piece) on_piece();
    };
    sink.on_end = [this](const Error* error, const AnswerResult& result) {
      answer_.result = result;
      if (error != nullptr) answer_.error = *error;
      ended_.set_value();
    };
    cancel = model.answer(std::move(request), std::move(sink));
  }
  Answer& wait() {
    if (!waited_) ended_.get_future().wait();
    waited_ = true;
    return answer_;
  }

  Canceller cancel;
  std::function<void()> on_piece;  // on the batch's thread

 private:
  Answer answer_;
  std::promise<void> ended_;
  bool waited_ = false;
};

/// Throws what went wrong.
inline Answer ask(Model& model, AnswerRequest request) {
  PendingAnswer pending(model, std::move(request));
  Answer answer = std::move(pending.wait());
  if (answer.error) throw *answer.error;
  return answer;
}

inline GenerateOptions greedy(int32_t max_tokens = -1) {
  GenerateOptions options;
  options.sampling.temperature = 0;
  options.max_tokens = max_tokens;
  return options;
}

inline std::vector<TokenId> bytes_of(std::string_view text) {
  std::vector<TokenId> tokens;
  for (const char byte : text) tokens.push_back(static_cast<unsigned char>(byte));
  return tokens;
}

inline std::vector<TokenId> with_bos(std::string_view text) {
  std::vector<TokenId> tokens = bytes_of(text);
  tokens.insert(tokens.begin(), kBos);
  return tokens;
}

/// Says `script` after any prompt that ends with ':', and ends; what precedes the ':' is ignored.
inline FakeEngine::Rule says(std::vector<TokenId> script) {
  return [script = std::move(script)](const std::vector<TokenId>& history) {
    const auto colon = std::find(history.rbegin(), history.rend(), ':');
    const auto said = static_cast<size_t>(colon - history.rbegin());
    return said < script.size() ? script[said] : kEos;
  };
}
inline FakeEngine::Rule says(std::string_view text) {
  return says(bytes_of(text));
}

/// Says `script` after any prompt, whatever the two are made of. For one answer at a time.
inline FakeEngine::Rule says_after_prompt(std::vector<TokenId> script) {
  return [script = std::move(script), prompt = size_t{0},
          last = size_t{0}](const std::vector<TokenId>& history) mutable {
    if (history.size() != last + 1) prompt = history.size();
    last = history.size();
    const size_t said = history.size() - prompt;
    return said < script.size() ? script[said] : kEos;
  };
}
inline FakeEngine::Rule says_after_prompt(std::string_view text) {
  return says_after_prompt(bytes_of(text));
}

/// Never ends; each token depends on all that precede it.
inline TokenId hash_rule(const std::vector<TokenId>& history) {
  uint32_t hash = 1;
  for (const TokenId token : history) hash = (hash ^ static_cast<uint32_t>(token)) * 16777619;
  return 'a' + static_cast<TokenId>(hash >> 16) % 26;
}

struct FakeModelOptions {
  uint32_t context = 1000;
  uint32_t max_batch = 512;
  std::string_view chat_template;
  bool add_bos = true;
  uint32_t max_waiting = 512;
  Metadata metadata;
};

/// A native model of fakes.
struct FakeModel {
  explicit FakeModel(FakeEngine::Rule rule, FakeModelOptions options = {}) {
    auto owned = std::make_unique<FakeEngine>(std::move(rule), options.context, options.max_batch);
    engine = owned.get();
    NativeModelParts parts;
    std::vector<MappedFile> files;
    files.push_back(MappedFile::open("/proc/self/exe"));  // any file: the parts are fakes
    parts.file = std::make_unique<ModelFile>(std::move(files), std::move(options.metadata),
                                             std::vector<TensorView>{});
    parts.tokenizer = std::make_unique<FakeTokenizer>(options.add_bos);
    parts.engine = std::move(owned);
    parts.max_waiting = options.max_waiting;
    if (!options.chat_template.empty()) {
      parts.chat_template = ChatTemplate::parse(options.chat_template);
    }
    model = NativeModel::create(std::move(parts));
  }

  Answer generate(std::string prompt, GenerateOptions options = greedy()) {
    return ask(*model, text_request(std::move(prompt), std::move(options)));
  }
  static AnswerRequest text_request(std::string prompt, GenerateOptions options = greedy()) {
    AnswerRequest request;
    request.prompt = TextPrompt{std::move(prompt), std::nullopt, true};
    request.options = std::move(options);
    return request;
  }
  Answer chat(ChatPrompt prompt, GenerateOptions options = greedy()) {
    AnswerRequest request;
    request.prompt = std::move(prompt);
    request.options = std::move(options);
    return ask(*model, std::move(request));
  }

  FakeEngine* engine;
  std::unique_ptr<NativeModel> model;
};

inline json::object user_message(std::string_view text) {
  return {{"role", "user"}, {"content", text}};
}

template <class Call>
void expect_error(ErrorCode code, const std::string& text, Call&& call) {
  try {
    call();
    FAIL() << "no error: " << text;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code);
    EXPECT_NE(std::string(error.what()).find(text), std::string::npos) << error.what();
  }
}

}  // namespace omg::testing
