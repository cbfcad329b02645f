// SPDX-License-Identifier: Apache-2.0
//
// The session on a made-up model whose every step is recorded.
#include "runtimes/native/session.h"

#include <gtest/gtest.h>
#include <random>

#include "base/utf8.h"
#include "runtimes/native/fake_model.h"

namespace omg {
namespace {

using testing::FakeEngine;
using testing::FakeTokenizer;
using testing::kBos;
using testing::kCat;
using testing::kEos;

struct Answer {
  GenerationResult result;
  std::string text;
  std::vector<SampledToken> tokens;
};

/// Says `script` after any prompt that ends with ':', and ends; what precedes the ':' is ignored.
FakeEngine::Rule says(std::vector<TokenId> script) {
  return [script = std::move(script)](const std::vector<TokenId>& history) {
    const auto colon = std::find(history.rbegin(), history.rend(), ':');
    const auto said = static_cast<size_t>(colon - history.rbegin());
    return said < script.size() ? script[said] : kEos;
  };
}

std::vector<TokenId> bytes_of(std::string_view text) {
  std::vector<TokenId> tokens;
  for (const char byte : text) tokens.push_back(static_cast<unsigned char>(byte));
  return tokens;
}

FakeEngine::Rule says(std::string_view text) {
  return says(bytes_of(text));
}

/// Says `text` after any prompt, whatever the two are made of.
FakeEngine::Rule says_after_prompt(std::string_view text) {
  return [script = bytes_of(text), prompt = size_t{0},
          last = size_t{0}](const std::vector<TokenId>& history) mutable {
    if (history.size() != last + 1) prompt = history.size();
    last = history.size();
    const size_t said = history.size() - prompt;
    return said < script.size() ? script[said] : kEos;
  };
}

/// Never ends; each token depends on all that precede it.
TokenId hash_rule(const std::vector<TokenId>& history) {
  uint32_t hash = 1;
  for (const TokenId token : history) hash = (hash ^ static_cast<uint32_t>(token)) * 16777619;
  return 'a' + static_cast<TokenId>(hash >> 16) % 26;
}

GenerateOptions greedy(int32_t max_tokens = -1) {
  GenerateOptions options;
  options.sampling.temperature = 0;
  options.max_tokens = max_tokens;
  return options;
}

struct Model {
  explicit Model(FakeEngine::Rule rule, uint32_t context = 1000, uint32_t max_batch = 512,
                 std::string_view chat_template = {}, bool add_bos = true) {
    auto owned = std::make_unique<FakeEngine>(std::move(rule), context, max_batch);
    engine = owned.get();
    SessionParts parts;
    std::vector<MappedFile> files;
    files.push_back(MappedFile::open("/proc/self/exe"));  // any file: the parts are fakes
    parts.file =
        std::make_unique<ModelFile>(std::move(files), Metadata{}, std::vector<TensorView>{});
    parts.tokenizer = std::make_unique<FakeTokenizer>(add_bos);
    parts.engine = std::move(owned);
    if (!chat_template.empty()) parts.chat_template = ChatTemplate::parse(chat_template);
    session = Session::create(std::move(parts));
  }

  Answer generate(std::string prompt, GenerateOptions options = greedy()) {
    return run([&](const PieceSink& sink) {
      return session->generate({std::move(prompt), true, std::move(options)}, sink);
    });
  }
  template <class Call>
  Answer run(Call&& call) {
    Answer answer;
    answer.result = call([&](const GenerationPiece& piece) {
      EXPECT_TRUE(is_valid_utf8(piece.text));
      answer.text += piece.text;
      answer.tokens.insert(answer.tokens.end(), piece.tokens.begin(), piece.tokens.end());
    });
    return answer;
  }

  FakeEngine* engine;
  std::unique_ptr<Session> session;
};

std::vector<TokenId> with_bos(std::string_view text) {
  std::vector<TokenId> tokens = bytes_of(text);
  tokens.insert(tokens.begin(), kBos);
  return tokens;
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

TEST(Session, AnswersUntilTheModelEnds) {
  Model model(says("Hi, thé!"));
  const Answer answer = model.generate("Hello:");
  EXPECT_EQ(answer.text, "Hi, thé!");
  EXPECT_EQ(answer.result.finish_reason, FinishReason::kStop);
  EXPECT_EQ(answer.result.stop_sequence, "");
  EXPECT_EQ(answer.result.prompt_tokens, 7u);
  EXPECT_EQ(answer.result.generated_tokens, 9u);
  EXPECT_EQ(answer.tokens.size(), 9u);
  EXPECT_GT(answer.result.prompt_duration.count(), 0);
  EXPECT_GE(answer.result.total_duration,
            answer.result.prompt_duration + answer.result.generation_duration);
  EXPECT_EQ(model.engine->take_tokens(), with_bos("Hello:Hi, thé!"));
}

TEST(Session, BeginsWithOneBosAndAddsNoEos) {
  Model model(says(""));
  model.generate("a:");
  EXPECT_EQ(model.engine->take_tokens(), with_bos("a:"));
  model.generate("<s>b:");
  EXPECT_EQ(model.engine->take_tokens(), bytes_of("b:"));  // BOS is in the cache
  EXPECT_EQ(model.generate("<s>b:").result.prompt_tokens, 3u);
  const auto literal = model.run([&](const PieceSink& sink) {
    return model.session->generate({"<s>:", false, greedy()}, sink);
  });
  EXPECT_EQ(literal.result.prompt_tokens, 5u);

  Model without(says(""), 1000, 512, {}, false);
  without.generate("a:");
  EXPECT_EQ(without.engine->take_tokens(), bytes_of("a:"));
  expect_error(ErrorCode::kInvalidArgument, "prompt is empty", [&] { without.generate(""); });
}

TEST(Session, PrefillsInChunksAndWantsLogitsOfTheLastTokenAlone) {
  for (const uint32_t max_batch : {1u, 2u, 3u, 7u, 8u, 100u}) {
    Model model(hash_rule, 1000, max_batch);
    Model whole(hash_rule);
    const std::string prompt = "seven and more";  // 15 tokens with BOS
    const Answer answer = model.generate(prompt, greedy(20));
    EXPECT_EQ(answer.text, whole.generate(prompt, greedy(20)).text);
    size_t seen = 0;
    for (const auto& step : model.engine->steps) {
      seen += step.tokens.size();
      EXPECT_EQ(step.logits_count, seen >= 15 ? 1u : 0u);
    }
    EXPECT_EQ(model.engine->steps.size(), (15 + max_batch - 1) / max_batch + 19);
  }
}

TEST(Session, SharedBeginningIsComputedOnce) {
  Model model(says("answer"));
  EXPECT_EQ(model.generate("question:").result.cached_tokens, 0u);
  model.engine->take_tokens();

  const Answer follow_up = model.generate("question:answer next:");
  EXPECT_EQ(follow_up.result.cached_tokens, 16u);
  EXPECT_EQ(follow_up.text, "answer");
  EXPECT_EQ(model.engine->take_tokens(), bytes_of(" next:answer"));

  const Answer fork = model.generate("question; why:");
  EXPECT_EQ(fork.result.cached_tokens, 9u);
  EXPECT_EQ(model.engine->take_tokens(), bytes_of("; why:answer"));

  const Answer same = model.generate("question; why:");
  EXPECT_EQ(same.result.cached_tokens, 14u);  // all but the last
  EXPECT_EQ(same.text, "answer");
  EXPECT_EQ(model.engine->take_tokens(), bytes_of(":answer"));
}

TEST(Session, RandomRequestsAnswerAsIfEachWereTheFirst) {
  std::mt19937 random(3);
  Model model(hash_rule, 60, 7);
  for (int i = 0; i < 200; ++i) {
    std::string prompt;
    for (size_t n = 1 + random() % 20; n > 0; --n) prompt += static_cast<char>('a' + random() % 2);
    const auto limit = static_cast<int32_t>(random() % 30);
    Model fresh(hash_rule, 60, 7);
    ASSERT_EQ(model.generate(prompt, greedy(limit)).text,
              fresh.generate(prompt, greedy(limit)).text);
  }
}

TEST(Session, PromptThatDoesNotFitIsRefusedWithBothNumbers) {
  Model model(hash_rule, 10);
  expect_error(ErrorCode::kContextLengthExceeded,
               "prompt has 10 tokens, the context holds 10: shorten it or raise --ctx",
               [&] { model.generate("123456789"); });
  EXPECT_TRUE(model.engine->steps.empty());
  EXPECT_EQ(model.generate("12345678").result.generated_tokens, 1u);
}

TEST(Session, AnswerEndsWhereTheContextDoes) {
  Model model(hash_rule, 10);
  const Answer answer = model.generate("abc");
  EXPECT_EQ(answer.result.finish_reason, FinishReason::kLength);
  EXPECT_EQ(answer.result.generated_tokens, 6u);
  EXPECT_EQ(answer.text.size(), 6u);
  EXPECT_EQ(model.generate("abcd").result.generated_tokens, 5u);
}

TEST(Session, MaxTokensEndsTheAnswer) {
  Model model(says("a long answer"));
  const Answer answer = model.generate("q:", greedy(6));
  EXPECT_EQ(answer.text, "a long");
  EXPECT_EQ(answer.result.finish_reason, FinishReason::kLength);
  EXPECT_EQ(answer.result.generated_tokens, 6u);
  EXPECT_EQ(model.engine->take_tokens(), with_bos("q:a lon"));  // the last needs no step

  const Answer none = model.generate("other:", greedy(0));
  EXPECT_EQ(none.text, "");
  EXPECT_TRUE(none.tokens.empty());
  EXPECT_EQ(none.result.finish_reason, FinishReason::kLength);
  EXPECT_EQ(model.engine->take_tokens(), bytes_of("other:"));
}

TEST(Session, StopStringEndsTheAnswerAcrossTokens) {
  Model model(says({'a', ' ', kCat, 's', '!', 'x'}));
  GenerateOptions options = greedy();
  options.stop = {"never", "ats!"};
  const Answer answer = model.generate("q:", options);
  EXPECT_EQ(answer.text, "a c");
  EXPECT_EQ(answer.result.finish_reason, FinishReason::kStop);
  EXPECT_EQ(answer.result.stop_sequence, "ats!");
  EXPECT_EQ(answer.result.generated_tokens, 5u);
  EXPECT_EQ(answer.tokens.size(), 3u);
}

TEST(Session, CharactersAreNeverSplitEvenAtTheLimit) {
  Model model(says("\xf0\x9f\x98\x80\xf0\x9f\x98\x80"));
  EXPECT_EQ(model.generate("q:").text, "😀😀");
  EXPECT_EQ(model.generate("q:", greedy(6)).text, "😀\xef\xbf\xbd");
}

TEST(Session, LogprobsComeWithTheTokens) {
  Model model(says("ok"));
  GenerateOptions options = greedy();
  options.sampling.top_logprobs = 2;
  const Answer answer = model.generate("q:", options);
  ASSERT_EQ(answer.tokens.size(), 2u);
  EXPECT_EQ(answer.tokens[0].token, 'o');
  ASSERT_EQ(answer.tokens[0].top.size(), 2u);
  EXPECT_EQ(answer.tokens[0].top[0].token, 'o');
  EXPECT_LT(answer.tokens[0].logprob, 0);
  EXPECT_GT(answer.tokens[0].logprob, -0.1f);
}

TEST(Session, PenaltiesCountThePrompt) {
  Model model(says("z"));
  GenerateOptions options = greedy(1);
  options.sampling.presence_penalty = 50;
  EXPECT_EQ(model.generate("y:", options).text, "z");
  EXPECT_NE(model.generate("z:", options).text, "z");
}

TEST(Session, LogitsBeyondTheVocabularyAreNotTokens) {
  Model model(says("fine"));
  model.engine->padding = 60;
  EXPECT_EQ(model.generate("q:").text, "fine");
}

TEST(Session, SampledAnswersRepeatWithTheirSeed) {
  Model model(hash_rule);
  GenerateOptions options = greedy(40);
  options.sampling.temperature = 20;
  options.sampling.top_k = 0;
  options.sampling.top_p = 1;
  options.sampling.seed = 5;
  const auto ids = [&] {
    std::vector<TokenId> result;
    for (const auto& token : model.generate("abc", options).tokens) result.push_back(token.token);
    return result;
  };
  const auto first = ids();
  EXPECT_EQ(ids(), first);
  options.sampling.seed = 6;
  EXPECT_NE(ids(), first);
}

TEST(Session, CancellationStopsBetweenChunksAndTokens) {
  const std::string prompt = "a prompt of a good length";
  const std::string expected = Model(hash_rule).generate(prompt, greedy(10)).text;
  for (int step = 0; step < 12; ++step) {
    Model model(hash_rule, 1000, 4);
    GenerateOptions options = greedy(10);
    int steps = 0;
    model.engine->on_step = [&] {
      if (steps++ == step) options.cancellation.cancel();
    };
    const Answer answer = model.generate(prompt, options);
    EXPECT_EQ(answer.result.finish_reason, FinishReason::kCancelled);
    EXPECT_EQ(steps, step + 1);
    EXPECT_TRUE(expected.starts_with(answer.text));
    EXPECT_EQ(answer.text.size(), answer.result.generated_tokens);

    const Answer next = model.generate(prompt, greedy(10));
    EXPECT_EQ(next.text, expected);
    EXPECT_EQ(next.result.cached_tokens, std::min(4 * (step + 1), 25));
  }
}

TEST(Session, CancelledBeforeItBeginsComputesNothing) {
  Model model(hash_rule);
  GenerateOptions options = greedy();
  options.cancellation.cancel();
  EXPECT_EQ(model.generate("abc", options).result.finish_reason, FinishReason::kCancelled);
  EXPECT_TRUE(model.engine->steps.empty());
}

TEST(Session, StaysUsableAfterAnExceptionOfTheEngine) {
  const std::string expected = Model(hash_rule).generate("some prompt", greedy(10)).text;
  for (int step = 0; step < 10; ++step) {
    Model model(hash_rule, 1000, 4);
    int steps = 0;
    model.engine->on_step = [&] {
      if (steps++ == step) throw Error(ErrorCode::kOutOfMemory, "no block is left");
    };
    expect_error(ErrorCode::kOutOfMemory, "no block",
                 [&] { model.generate("some prompt", greedy(10)); });
    EXPECT_EQ(model.generate("some prompt", greedy(10)).text, expected);
  }
}

TEST(Session, StaysUsableAfterAnExceptionOfTheSink) {
  Model model(hash_rule);
  const std::string expected = model.generate("some prompt", greedy(10)).text;
  for (int piece = 0; piece < 10; ++piece) {
    int pieces = 0;
    const GenerateRequest request{"some prompt", true, greedy(10)};
    EXPECT_THROW(model.session->generate(request,
                                         [&](const GenerationPiece&) {
                                           if (pieces++ == piece) throw std::runtime_error("left");
                                         }),
                 std::runtime_error);
    EXPECT_EQ(model.generate("some prompt", greedy(10)).text, expected);
  }
  EXPECT_EQ(model.session->generate({"some prompt", true, greedy(3)}, nullptr).generated_tokens,
            3u);
}

TEST(Session, OptionsOutOfRangeAreNamed) {
  Model model(hash_rule);
  const auto refuse = [&](const std::string& field, const GenerateOptions& options) {
    expect_error(ErrorCode::kInvalidArgument, field, [&] { model.generate("a", options); });
  };
  GenerateOptions options = greedy(-2);
  refuse("max_tokens", options);
  options = greedy();
  options.stop = {"fine", ""};
  refuse("stop", options);
  options.stop = {std::string(kMaxStopBytes + 1, 'x')};
  refuse("stop", options);
  options.stop = {"\xff"};
  refuse("stop", options);
  options.stop.assign(kMaxStops + 1, "x");
  refuse("stop", options);
  options = greedy();
  options.sampling.top_p = 2;
  refuse("top_p", options);
  EXPECT_TRUE(model.engine->steps.empty());
}

constexpr std::string_view kTemplate =
    "{{ bos_token }}{% for m in messages %}{{ m.role }}={{ m.content }}{{ eos_token }}{% endfor %}"
    "{% if tools is not none %}T{{ tools | length }}{{ tools | tojson }}{% endif %}"
    "{% if loud %}!{% endif %}{% if add_generation_prompt %}:{% endif %}";

ChatRequest chat_request(GenerateOptions options = greedy()) {
  ChatRequest request;
  request.messages = {{{"role", "user"}, {"content", "hi"}}};
  request.options = std::move(options);
  return request;
}

TEST(Session, ChatRendersWhatTheTemplateAsksFor) {
  Model model(says("hello"), 1000, 512, kTemplate);
  ChatRequest request = chat_request();
  EXPECT_EQ(model.session->render(request).prompt, "<s>user=hi</s>:");
  request.tools = {json::object{{"type", "function"}}};
  request.template_variables = {{"loud", true}};
  EXPECT_EQ(model.session->render(request).prompt, "<s>user=hi</s>T1[{\"type\": \"function\"}]!:");
  request.template_variables = {{"add_generation_prompt", false}};
  EXPECT_EQ(model.session->render(request).prompt, "<s>user=hi</s>T1[{\"type\": \"function\"}]");
  request.template_variables = {{"messages", nullptr}};
  expect_error(ErrorCode::kInvalidArgument, "messages", [&] { model.session->render(request); });
}

TEST(Session, ConversationsAreAdaptedAndThatIsSaid) {
  Model model(says("ok"), 1000, 512,
              "{% for m in messages %}{% if m.role == 'system' %}"
              "{{ raise_exception('no system message') }}{% endif %}"
              "{{ m.role[0] }}={{ m.content }};{% endfor %}"
              "{% if add_generation_prompt %}:{% endif %}");
  EXPECT_EQ(model.session->capabilities()->system, Support::kRefused);
  ChatRequest request = chat_request();
  EXPECT_TRUE(model.session->chat(request, nullptr).warnings.empty());
  request.messages = {{{"role", "system"}, {"content", "Be kind."}},
                      {{"role", "user"}, {"content", "hi"}}};
  EXPECT_EQ(model.session->render(request).prompt, "u=Be kind.\n\nhi;:");
  const GenerationResult result = model.session->chat(request, nullptr);
  ASSERT_EQ(result.warnings.size(), 1u);
  EXPECT_NE(result.warnings[0].find("system"), std::string::npos);
  request.tools = {json::object{{"type", "function"}}};
  expect_error(ErrorCode::kUnsupported, "tools", [&] { model.session->chat(request, nullptr); });
}

/// What chat() gives, put together.
ParsedOutput parsed_chat(Model& model, const ChatRequest& request) {
  ParsedOutput output;
  std::string text;
  model.session->chat(request, [&](const GenerationPiece& piece) {
    for (const OutputEvent& event : piece.events) output.add(event);
    text += piece.text;
  });
  EXPECT_FALSE(text.empty());
  return output;
}

constexpr std::string_view kThinkingTemplate =
    "{% if tools %}{{ tools | tojson }}{% endif %}"
    "{% for m in messages %}{{ m.role }}: {% if m.reasoning_content %}<think>"
    "{{ m.reasoning_content }}</think>{% endif %}{{ m.content }}{% for c in m.tool_calls or [] %}"
    "<tool_call>{{ c.function | tojson }}</tool_call>{% endfor %}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% if open %}<think>{% endif %}{% endif %}";

TEST(Session, AnswersAreTakenApartOnRequest) {
  const std::string answer =
      "<think>Hm.</think>Yes.<tool_call>{\"name\": \"f\", \"arguments\": {\"x\": 1}}</tool_call>";
  Model model(says_after_prompt(answer), 1000, 512, kThinkingTemplate);
  ChatRequest request = chat_request();
  request.parse_output = true;
  ParsedOutput output = parsed_chat(model, request);
  EXPECT_EQ(output.reasoning, "Hm.");
  EXPECT_TRUE(output.calls.empty());  // no tools were given: it is text
  EXPECT_EQ(output.content, answer.substr(answer.find("Yes")));

  request.tools = {json::object{{"type", "function"}, {"function", {{"name", "f"}}}}};
  output = parsed_chat(model, request);
  EXPECT_EQ(output.content, "Yes.");
  ASSERT_EQ(output.calls.size(), 1u);
  EXPECT_EQ(output.calls[0].name, "f");
  EXPECT_EQ(output.calls[0].arguments, "{\"x\": 1}");

  request.parse_output = false;
  const Answer plain =
      model.run([&](const PieceSink& sink) { return model.session->chat(request, sink); });
  EXPECT_EQ(plain.text, answer);
}

TEST(Session, APromptThatOpensTheReasoningIsSeen) {
  Model model(says_after_prompt("Hm.</think>Yes."), 1000, 512, kThinkingTemplate);
  ChatRequest request = chat_request();
  request.parse_output = true;
  request.template_variables = {{"open", true}};
  const ParsedOutput output = parsed_chat(model, request);
  EXPECT_EQ(output.reasoning, "Hm.");
  EXPECT_EQ(output.content, "Yes.");
}

TEST(Session, ChatParsesSpecialTokensAndBeginsWithOneBos) {
  Model model(says("hello"), 1000, 512, kTemplate);
  const Answer answer =
      model.run([&](const PieceSink& sink) { return model.session->chat(chat_request(), sink); });
  EXPECT_EQ(answer.text, "hello");
  auto expected = with_bos("user=hi");
  expected.push_back(kEos);
  for (const TokenId token : bytes_of(":hello")) expected.push_back(token);
  EXPECT_EQ(model.engine->take_tokens(), expected);

  Model without_bos(says("hello"), 1000, 512, "{{ messages[0].content }}:");
  without_bos.session->chat(chat_request(), nullptr);
  EXPECT_EQ(without_bos.engine->take_tokens(), with_bos("hi:hello"));
}

TEST(Session, BadConversationsAreRefused) {
  Model model(says("hello"), 1000, 512, kTemplate);
  ChatRequest request;
  expect_error(ErrorCode::kInvalidArgument, "messages is empty",
               [&] { model.session->chat(request, nullptr); });
  for (const json::value& bad :
       {json::value("hi"), json::value(json::object{}), json::value({{"role", 1}})}) {
    request = chat_request();
    request.messages.push_back(bad);
    expect_error(ErrorCode::kInvalidArgument, "messages[1]",
                 [&] { model.session->chat(request, nullptr); });
  }
}

TEST(Session, MissingOrBrokenTemplateStopsOnlyChats) {
  Model model(says("hello"));
  EXPECT_EQ(model.session->chat_template(), nullptr);
  expect_error(ErrorCode::kUnsupported, "no chat template",
               [&] { model.session->chat(chat_request(), nullptr); });
  EXPECT_EQ(model.generate("q:").text, "hello");

  SessionParts parts;
  parts.tokenizer = std::make_unique<FakeTokenizer>();
  parts.engine = std::make_unique<FakeEngine>(says("hello"));
  parts.template_error = Error(ErrorCode::kInvalidArgument, "template line 3");
  const auto broken = Session::create(std::move(parts));
  expect_error(ErrorCode::kInvalidArgument, "template line 3",
               [&] { broken->render(chat_request()); });
  EXPECT_EQ(broken->generate({"q:", true, greedy()}, nullptr).generated_tokens, 5u);
}

}  // namespace
}  // namespace omg
