// SPDX-License-Identifier: Apache-2.0
//
// The native model on a made-up engine whose every step is recorded: texts and tokens. chat_test.cc
// has conversations.
#include "runtimes/native/native_model.h"

#include <gtest/gtest.h>
#include <random>

#include "runtimes/native/test_support.h"

namespace omg::testing {
namespace {

TEST(NativeModel, AnswersUntilTheModelEnds) {
  FakeModel model(says("Hi, thé!"));
  const Answer answer = model.generate("Hello:");
  EXPECT_EQ(answer.text, "Hi, thé!");
  EXPECT_EQ(answer.result.finish_reason, FinishReason::kStop);
  EXPECT_EQ(answer.result.stop_sequence, "");
  EXPECT_EQ(answer.result.prompt_tokens, 7u);
  EXPECT_EQ(answer.result.generated_tokens, 9u);
  EXPECT_EQ(answer.tokens, 9u);
  EXPECT_TRUE(answer.token_list.empty());
  EXPECT_GT(answer.result.queue_duration.count(), 0);
  EXPECT_GT(answer.result.prompt_duration.count(), 0);
  EXPECT_GT(answer.result.generation_duration.count(), 0);
  EXPECT_GE(answer.result.total_duration, answer.result.queue_duration +
                                              answer.result.prompt_duration +
                                              answer.result.generation_duration);
  EXPECT_EQ(model.engine->take_tokens(), with_bos("Hello:Hi, thé!"));
  const ModelActivity activity = model.model->activity();
  EXPECT_EQ(activity.generated_tokens, 9u);
  EXPECT_EQ(activity.prompt_tokens, 7u);
}

TEST(NativeModel, BeginsWithOneBosAndAddsNoEos) {
  FakeModel model(says(""));
  model.generate("a:");
  EXPECT_EQ(model.engine->take_tokens(), with_bos("a:"));
  model.generate("<s>b:");
  EXPECT_EQ(model.engine->take_tokens(), with_bos("b:"));
  AnswerRequest literal = FakeModel::text_request("<s>:");
  std::get<TextPrompt>(literal.prompt).parse_special = false;
  EXPECT_EQ(ask(*model.model, literal).result.prompt_tokens, 5u);

  FakeModel without(says(""), {.add_bos = false});
  without.generate("a:");
  EXPECT_EQ(without.engine->take_tokens(), bytes_of("a:"));
  expect_error(ErrorCode::kInvalidArgument, "prompt is empty", [&] { without.generate(""); });
}

TEST(NativeModel, TokensAndContextGoBeforeThePromptAsTheyAre) {
  FakeModel model(says("ok"));
  AnswerRequest request;
  request.prompt = TokenPrompt{{'a', kCat, ':'}};
  request.options = greedy();
  request.options.return_tokens = true;
  EXPECT_EQ(ask(*model.model, request).result.tokens,
            (std::vector<TokenId>{'a', kCat, ':', 'o', 'k'}));
  EXPECT_EQ(model.engine->take_tokens(), (std::vector<TokenId>{'a', kCat, ':', 'o', 'k'}));

  request = FakeModel::text_request("<s>b:");
  request.context = with_bos("a:");
  EXPECT_EQ(ask(*model.model, request).text, "ok");
  EXPECT_EQ(model.engine->take_tokens(), with_bos("a:b:ok"));

  request.context = {-1};
  expect_error(ErrorCode::kInvalidArgument, "context holds token -1",
               [&] { ask(*model.model, request); });
  request.context.clear();
  request.prompt = TokenPrompt{{static_cast<TokenId>(kFakeVocab)}};
  expect_error(ErrorCode::kInvalidArgument, "token 262", [&] { ask(*model.model, request); });
}

TEST(NativeModel, PrefillsInChunksAndWantsLogitsOfTheLastTokenAlone) {
  for (const uint32_t max_batch : {1u, 2u, 3u, 7u, 8u, 100u}) {
    FakeModel model(hash_rule, {.max_batch = max_batch});
    FakeModel whole(hash_rule);
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

TEST(NativeModel, ManyAtOnceAnswerAsIfEachWereAlone) {
  std::mt19937 random(3);
  FakeModel model(hash_rule, {.context = 60, .max_batch = 7});
  std::vector<AnswerRequest> requests;
  for (int i = 0; i < 100; ++i) {
    std::string prompt;
    for (size_t n = 1 + random() % 20; n > 0; --n) prompt += static_cast<char>('a' + random() % 2);
    AnswerRequest request =
        FakeModel::text_request(prompt, greedy(static_cast<int32_t>(random() % 30)));
    if (i % 2 == 0) request.options.sampling = {.temperature = 20, .top_k = 0, .seed = i};
    requests.push_back(std::move(request));
  }
  std::vector<std::unique_ptr<PendingAnswer>> pending;
  for (const AnswerRequest& request : requests) {
    pending.push_back(std::make_unique<PendingAnswer>(*model.model, request));
  }
  for (size_t i = 0; i < requests.size(); ++i) {
    FakeModel fresh(hash_rule, {.context = 60, .max_batch = 7});
    const Answer& answer = pending[i]->wait();
    const Answer alone = ask(*fresh.model, requests[i]);
    ASSERT_EQ(answer.text, alone.text);
    ASSERT_EQ(answer.result.generated_tokens, alone.result.generated_tokens);
  }
}

TEST(NativeModel, PromptThatDoesNotFitIsRefusedWithBothNumbers) {
  FakeModel model(hash_rule, {.context = 10});
  expect_error(ErrorCode::kContextLengthExceeded,
               "prompt has 11 tokens, the context holds 10: shorten it or raise --ctx",
               [&] { model.generate("1234567890"); });
  EXPECT_TRUE(model.engine->steps.empty());
  for (const char* fits : {"12345678", "123456789"}) {  // 9 and 10 tokens
    const AnswerResult result = model.generate(fits).result;
    EXPECT_EQ(result.generated_tokens, 1u);
    EXPECT_EQ(result.finish_reason, FinishReason::kLength);
    EXPECT_EQ(result.cut_tokens, 0u);
  }
  GenerateOptions smaller = greedy();
  smaller.context_length = 5;
  expect_error(ErrorCode::kContextLengthExceeded, "the context holds 5",
               [&] { model.generate("12345", smaller); });
  EXPECT_EQ(model.generate("1234", smaller).result.generated_tokens, 1u);
  EXPECT_EQ(model.generate("12", smaller).result.generated_tokens, 2u);
  smaller.context_length = 5000;
  EXPECT_EQ(model.generate("12", smaller).result.generated_tokens, 7u);
}

TEST(NativeModel, AnswerEndsWhereTheContextDoes) {
  FakeModel model(hash_rule, {.context = 10});
  const Answer answer = model.generate("abc");
  EXPECT_EQ(answer.result.finish_reason, FinishReason::kLength);
  EXPECT_EQ(answer.result.generated_tokens, 6u);
  EXPECT_EQ(answer.text.size(), 6u);
  EXPECT_EQ(model.generate("abcd").result.generated_tokens, 5u);
}

TEST(NativeModel, TextsAreCutOnRequest) {
  FakeModel model(hash_rule, {.context = 20});
  GenerateOptions options = greedy();
  options.cut_prompt = true;
  const std::string prompt = "0123456789abcdefghij";  // 21 tokens with BOS
  const Answer answer = model.generate(prompt, options);
  EXPECT_EQ(answer.result.cut_tokens, 6u);  // a quarter of the context is left for the answer
  EXPECT_EQ(answer.result.prompt_tokens, 15u);
  EXPECT_EQ(answer.result.generated_tokens, 5u);
  const auto tokens = model.engine->take_tokens();
  EXPECT_EQ(std::vector<TokenId>(tokens.begin(), tokens.begin() + 15), with_bos("6789abcdefghij"));
  EXPECT_EQ(model.generate("0123456789abcdefghi", options).result.cut_tokens, 0u);
  options.max_tokens = 1;
  EXPECT_EQ(model.generate(prompt, options).result.prompt_tokens, 19u);
}

/// The text goes on as if each context had been a prompt of its own.
TEST(NativeModel, AFullContextIsShiftedOnRequest) {
  FakeModel model(hash_rule, {.context = 20});
  GenerateOptions options = greedy(60);
  options.shift_context = true;
  options.keep_tokens = 4;
  options.return_tokens = true;
  const Answer answer = model.generate("abcdefg", options);
  EXPECT_EQ(answer.result.generated_tokens, 60u);
  EXPECT_EQ(answer.result.finish_reason, FinishReason::kLength);
  std::vector<TokenId> history = with_bos("abcdefg");
  std::string expected;
  uint32_t shifts = 0;
  for (int i = 0; i < 60; ++i) {
    const TokenId next = hash_rule(history);
    expected += static_cast<char>(next);
    if (history.size() == 20) {
      history.erase(history.begin() + 4, history.begin() + 12);
      ++shifts;
    }
    history.push_back(next);
  }
  EXPECT_EQ(answer.text, expected);
  EXPECT_EQ(answer.result.context_shifts, shifts);
  EXPECT_EQ(answer.result.tokens.size(), 68u);
  // Also from the first token on, and where there is nothing to forget.
  options.max_tokens = 3;
  const Answer full = model.generate("1234567890123456789", options);  // with BOS 20
  EXPECT_EQ(full.result.generated_tokens, 3u);
  EXPECT_EQ(full.result.context_shifts, 1u);
  options.context_length = 1;
  EXPECT_EQ(model.generate("", options).result.generated_tokens, 1u);
  options.context_length = 0;
  options.max_tokens = -1;
  expect_error(ErrorCode::kInvalidArgument, "shift_context", [&] { model.generate("a", options); });
}

TEST(NativeModel, FillsInWithTheTokensOfTheMetadata) {
  Metadata metadata;
  metadata.set_u32("tokenizer.ggml.fim_pre_token_id", '<');
  metadata.set_u32("tokenizer.ggml.suffix_token_id", '^');
  metadata.set_u32("tokenizer.ggml.middle_token_id", '>');
  FakeModel model(says_after_prompt("mid"), {.context = 20, .metadata = std::move(metadata)});
  EXPECT_TRUE(model.model->facts().can_fill_in);
  AnswerRequest request = FakeModel::text_request("before");
  std::get<TextPrompt>(request.prompt).suffix = "after";
  EXPECT_EQ(ask(*model.model, request).text, "mid");
  EXPECT_EQ(model.engine->take_tokens(), with_bos("<before^after>mid"));

  std::get<TextPrompt>(request.prompt).text = "0123456789";
  expect_error(ErrorCode::kContextLengthExceeded, "19 tokens", [&] {
    std::get<TextPrompt>(request.prompt).suffix = "after";
    request.options.context_length = 18;
    ask(*model.model, request);
  });
  request.options.cut_prompt = true;
  EXPECT_EQ(ask(*model.model, request).result.cut_tokens, 5u);
  EXPECT_EQ(model.engine->take_tokens(), with_bos("<56789^after>mid"));

  FakeModel without(says("x"));
  EXPECT_FALSE(without.model->facts().can_fill_in);
  expect_error(ErrorCode::kUnsupported, "suffix", [&] { ask(*without.model, request); });
}

TEST(NativeModel, MaxTokensEndsTheAnswer) {
  FakeModel model(says("a long answer"));
  const Answer answer = model.generate("q:", greedy(6));
  EXPECT_EQ(answer.text, "a long");
  EXPECT_EQ(answer.result.finish_reason, FinishReason::kLength);
  EXPECT_EQ(answer.result.generated_tokens, 6u);
  EXPECT_EQ(model.engine->take_tokens(), with_bos("q:a lon"));  // the last needs no step

  const Answer none = model.generate("other:", greedy(0));
  EXPECT_EQ(none.text, "");
  EXPECT_EQ(none.tokens, 0u);
  EXPECT_EQ(none.result.finish_reason, FinishReason::kLength);
  EXPECT_EQ(model.engine->take_tokens(), with_bos("other:"));
}

TEST(NativeModel, StopStringEndsTheAnswerAcrossTokens) {
  FakeModel model(says({'a', ' ', kCat, 's', '!', 'x'}));
  GenerateOptions options = greedy();
  options.stop = {"never", "ats!"};
  const Answer answer = model.generate("q:", options);
  EXPECT_EQ(answer.text, "a c");
  EXPECT_EQ(answer.result.finish_reason, FinishReason::kStop);
  EXPECT_EQ(answer.result.stop_sequence, "ats!");
  EXPECT_EQ(answer.result.generated_tokens, 5u);
  EXPECT_EQ(answer.tokens, 3u);
}

TEST(NativeModel, CharactersAreNeverSplitEvenAtTheLimit) {
  FakeModel model(says("\xf0\x9f\x98\x80\xf0\x9f\x98\x80"));
  EXPECT_EQ(model.generate("q:").text, "😀😀");
  EXPECT_EQ(model.generate("q:", greedy(6)).text, "😀\xef\xbf\xbd");
}

TEST(NativeModel, LogprobsComeWithTheTokens) {
  FakeModel model(says("ok"));
  GenerateOptions options = greedy();
  options.sampling.top_logprobs = 2;
  const Answer answer = model.generate("q:", options);
  ASSERT_EQ(answer.token_list.size(), 2u);
  EXPECT_EQ(answer.token_list[0].token, 'o');
  EXPECT_EQ(answer.token_list[0].bytes, "o");
  ASSERT_EQ(answer.token_list[0].top.size(), 2u);
  EXPECT_EQ(answer.token_list[0].top[0].token, 'o');
  EXPECT_EQ(answer.token_list[0].top[0].bytes, "o");
  EXPECT_LT(answer.token_list[0].logprob, 0);
  EXPECT_GT(answer.token_list[0].logprob, -0.1f);
}

TEST(NativeModel, PenaltiesCountThePrompt) {
  FakeModel model(says("z"));
  GenerateOptions options = greedy(1);
  options.sampling.presence_penalty = 50;
  EXPECT_EQ(model.generate("y:", options).text, "z");
  EXPECT_NE(model.generate("z:", options).text, "z");
}

TEST(NativeModel, LogitsBeyondTheVocabularyAreNotTokens) {
  FakeModel model(says("fine"));
  model.engine->padding = 60;
  EXPECT_EQ(model.generate("q:").text, "fine");
}

TEST(NativeModel, SampledAnswersRepeatWithTheirSeed) {
  FakeModel model(hash_rule);
  GenerateOptions options = greedy(40);
  options.sampling.temperature = 20;
  options.sampling.top_k = 0;
  options.sampling.top_p = 1;
  const Answer first = model.generate("abc", options);
  options.sampling.seed = static_cast<int64_t>(first.result.seed);
  EXPECT_EQ(model.generate("abc", options).text, first.text);
  EXPECT_EQ(model.generate("abc", options).result.seed, first.result.seed);
  ++options.sampling.seed;
  EXPECT_NE(model.generate("abc", options).text, first.text);
}

TEST(NativeModel, CancellationStopsBetweenChunksAndTokens) {
  const std::string prompt = "a prompt of a good length";
  const std::string expected = FakeModel(hash_rule).generate(prompt, greedy(10)).text;
  for (const bool by_canceller : {false, true}) {
    for (int step = 0; step < 12; ++step) {
      FakeModel model(hash_rule, {.max_batch = 4});
      GenerateOptions options = greedy(10);
      std::promise<Canceller> promise;
      auto canceller = promise.get_future().share();
      int steps = 0;
      model.engine->on_step = [&] {
        if (steps++ != step) return;
        if (by_canceller) canceller.get()();
        if (!by_canceller) options.cancellation.cancel();
      };
      PendingAnswer pending(*model.model, FakeModel::text_request(prompt, options));
      promise.set_value(pending.cancel);
      const Answer& answer = pending.wait();
      EXPECT_FALSE(answer.error);
      EXPECT_EQ(answer.result.finish_reason, FinishReason::kCancelled);
      EXPECT_EQ(steps, step + 1);
      EXPECT_TRUE(expected.starts_with(answer.text));
      EXPECT_EQ(answer.text.size(), answer.result.generated_tokens);
      EXPECT_EQ(model.generate(prompt, greedy(10)).text, expected);
    }
  }
}

TEST(NativeModel, CancelledBeforeItBeginsComputesNothing) {
  FakeModel model(hash_rule);
  GenerateOptions options = greedy();
  options.cancellation.cancel();
  EXPECT_EQ(model.generate("abc", options).result.finish_reason, FinishReason::kCancelled);
  EXPECT_TRUE(model.engine->steps.empty());
}

TEST(NativeModel, StaysUsableAfterAnExceptionOfTheEngine) {
  const std::string expected = FakeModel(hash_rule).generate("some prompt", greedy(10)).text;
  for (int step = 0; step < 10; ++step) {
    FakeModel model(hash_rule, {.max_batch = 4});
    int steps = 0;
    model.engine->on_step = [&] {
      if (steps++ == step) throw Error(ErrorCode::kOutOfMemory, "no block is left");
    };
    expect_error(ErrorCode::kOutOfMemory, "no block",
                 [&] { model.generate("some prompt", greedy(10)); });
    EXPECT_EQ(model.generate("some prompt", greedy(10)).text, expected);
  }
}

TEST(NativeModel, TooManyAreRefusedAndTheRestEndWithTheModel) {
  std::vector<std::unique_ptr<PendingAnswer>> pending;
  size_t refused = 0;
  Canceller late;
  {
    FakeModel model(hash_rule, {.context = 1000000, .max_waiting = 3});
    std::promise<void> gate;
    std::shared_future<void> open = gate.get_future().share();
    model.engine->on_step = [open] { open.wait(); };
    for (int i = 0; i < 20; ++i) {
      pending.push_back(std::make_unique<PendingAnswer>(
          *model.model, FakeModel::text_request(std::string(1, static_cast<char>('a' + i)))));
    }
    late = pending.back()->cancel;
    gate.set_value();
  }
  late();
  for (const auto& answer : pending) {
    const Answer& end = answer->wait();
    if (end.error) {
      EXPECT_EQ(end.error->code(), ErrorCode::kUnavailable);
      ++refused;
    } else {
      EXPECT_EQ(end.result.finish_reason, FinishReason::kCancelled);
    }
  }
  EXPECT_GE(refused, 20u - 3 - 3 - 4);  // waiting here, and there, and running
  EXPECT_LT(refused, 20u);
}

TEST(NativeModel, OptionsOutOfRangeAreNamed) {
  FakeModel model(hash_rule);
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

TEST(NativeModel, FormatsBindTextsFromTheFirstTokenOn) {
  FakeModel model(says("no JSON at all, and never an end"));
  GenerateOptions options = greedy(200);
  options.format.kind = AnswerFormat::Kind::kRegex;
  options.format.source = "[0-9]{3}-[a-c]+!";
  options.sampling.logit_bias = {{'!', 5.0f}};
  const Answer answer = model.generate("q:", options);
  EXPECT_EQ(answer.result.finish_reason, FinishReason::kStop);
  EXPECT_EQ(answer.text.size(), 6u) << answer.text;
  EXPECT_EQ(answer.text.back(), '!');
  EXPECT_EQ(answer.text[3], '-');

  options.format.kind = AnswerFormat::Kind::kJsonSchema;
  options.format.schema = {{"enum", {"yes", "no"}}};
  EXPECT_EQ(model.generate("q:", options).text, "\"yes\"");
  options.format.schema = {{"type", "banana"}};
  expect_error(ErrorCode::kInvalidArgument, "banana", [&] { model.generate("q:", options); });
  options.format.kind = AnswerFormat::Kind::kGbnf;
  options.format.source = "root ::= nothing";
  expect_error(ErrorCode::kInvalidArgument, "nothing", [&] { model.generate("q:", options); });
}

/// What is reported is what the model thinks, not what the format leaves of it.
TEST(NativeModel, LogprobsAreThoseWithoutTheFormat) {
  FakeModel model(says("x"));
  GenerateOptions options = greedy(1);
  options.sampling.top_logprobs = 1;
  options.format.kind = AnswerFormat::Kind::kRegex;
  options.format.source = "[ab]";
  const Answer answer = model.generate("q:", options);
  ASSERT_EQ(answer.token_list.size(), 1u);
  EXPECT_LT(answer.token_list[0].logprob, -5);
  EXPECT_EQ(answer.token_list[0].top[0].token, 'x');
}

}  // namespace
}  // namespace omg::testing
