// SPDX-License-Identifier: Apache-2.0
//
// From a GGUF file to text: the trained reference model continues its prompts token for token as
// the reference implementation does, on every instruction set that this machine has; and answers
// of real models are the same alone and among many.
#include <filesystem>
#include <gtest/gtest.h>
#include <random>
#include <unistd.h>

#include "base/json.h"
#include "base/testing/reference_dir.h"
#include "formats/gguf/writer.h"
#include "formats/open_model_file.h"
#include "runtimes/native/native_model.h"
#include "runtimes/native/test_support.h"

namespace omg::testing {
namespace {

const std::filesystem::path kReference = reference_dir();
const std::filesystem::path kModel = kReference / "models" / "stories260K.gguf";

struct Case {
  std::string prompt;
  std::vector<TokenId> prompt_ids;
  std::vector<TokenId> ids;
  std::string text;
};

std::vector<TokenId> ids_of(const json::value& value) {
  std::vector<TokenId> ids;
  for (const auto& id : value.as_array()) ids.push_back(id.to_number<TokenId>());
  return ids;
}

std::vector<Case> read_cases() {
  std::vector<Case> cases;
  const json::value file = parse_json_file(kReference / "models" / "stories260K.greedy.json");
  for (const auto& entry : file.as_array()) {
    cases.push_back({std::string(entry.at("prompt").as_string()), ids_of(entry.at("prompt_ids")),
                     ids_of(entry.at("ids")), std::string(entry.at("text").as_string())});
  }
  return cases;
}

ModelLoadOptions one_user(const std::filesystem::path& path, uint32_t threads = 1) {
  ModelLoadOptions options;
  options.path = path;
  options.max_sequences = 1;
  options.threads = threads;
  return options;
}

Answer generate(Model& model, const std::string& prompt, size_t tokens,
                std::vector<std::string> stop = {}) {
  AnswerRequest request;
  request.prompt = TextPrompt{prompt, std::nullopt, true};
  request.options = greedy(static_cast<int32_t>(tokens));
  request.options.stop = std::move(stop);
  request.options.return_tokens = true;
  return ask(model, std::move(request));
}

std::vector<TokenId> answer_ids(const Answer& answer) {
  return {answer.result.tokens.begin() + answer.result.prompt_tokens, answer.result.tokens.end()};
}

class NativeReferenceTest : public ::testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(kModel)) GTEST_SKIP() << kModel << " is absent";
  }
  std::unique_ptr<NativeModel> load(uint32_t max_batch, uint32_t threads) const {
    NativeLoadOptions native;
    native.isa = GetParam();
    native.max_batch_tokens = max_batch;
    return NativeModel::load(one_user(kModel, threads), native);
  }
};

TEST_P(NativeReferenceTest, GreedyContinuationsAgreeForAnyChunks) {
  const auto cases = read_cases();
  ASSERT_FALSE(cases.empty());
  std::mt19937 random(1);
  const uint32_t batches[] = {512, 1, 2 + static_cast<uint32_t>(random() % 8), 7};
  for (const uint32_t max_batch : batches) {
    const auto model = load(max_batch, 1);
    EXPECT_GT(model->facts().load_duration.count(), 0);
    for (const Case& expected : cases) {
      const Answer answer = generate(*model, expected.prompt, expected.ids.size());
      EXPECT_EQ(answer.result.prompt_tokens, expected.prompt_ids.size());
      EXPECT_EQ(answer_ids(answer), expected.ids) << expected.prompt;
      EXPECT_EQ(answer.text, expected.text);
      EXPECT_EQ(answer.result.finish_reason, FinishReason::kLength);
    }
  }
}

TEST_P(NativeReferenceTest, TwoThreadsChangeNothing) {
  const auto model = load(7, 2);
  const Case expected = read_cases().front();
  // Few tokens: where another program holds the second processor, each step waits for it.
  const auto ids = answer_ids(generate(*model, expected.prompt, 30));
  EXPECT_TRUE(std::equal(ids.begin(), ids.end(), expected.ids.begin()));
  EXPECT_EQ(ids.size(), 30u);
}

TEST_P(NativeReferenceTest, StopStringCutsTheStory) {
  const auto model = load(512, 1);
  for (const Case& expected : read_cases()) {
    // A stop string from the middle of the text, longer than any token.
    const std::string stop = expected.text.substr(expected.text.size() / 2, 17);
    const Answer answer = generate(*model, expected.prompt, expected.ids.size(), {stop});
    EXPECT_EQ(answer.text, expected.text.substr(0, expected.text.find(stop)));
    EXPECT_EQ(answer.result.stop_sequence, stop);
  }
}

TEST_P(NativeReferenceTest, CachedPrefixChangesNothing) {
  const auto model = load(512, 1);
  const Case expected = read_cases().front();
  const Answer first = generate(*model, expected.prompt, 60);
  const Answer longer = generate(*model, expected.prompt + first.text, 20);
  EXPECT_GE(longer.result.cached_tokens, 32u);
  EXPECT_EQ(longer.text, generate(*load(512, 1), expected.prompt + first.text, 20).text);
  EXPECT_EQ(generate(*model, expected.prompt, 100).text, expected.text);
}

/// The reference model under another name, with a chat template.
std::string with_template(std::string_view source) {
  const ModelFile file = open_model_file(kModel);
  Metadata metadata;
  for (const auto& entry : file.metadata().entries()) metadata.copy_entry(entry);
  metadata.set_string("tokenizer.chat_template", source);
  std::vector<gguf::TensorDeclaration> declarations;
  for (const TensorView& tensor : file.tensors()) {
    declarations.push_back({std::string(tensor.name), tensor.type, tensor.rank, tensor.shape});
  }
  const std::string path =
      ::testing::TempDir() + "omg_native_" + std::to_string(getpid()) + ".gguf";
  gguf::Writer writer(path, metadata, declarations);
  for (const TensorView& tensor : file.tensors()) writer.write(tensor.bytes);
  writer.finish();
  return path;
}

TEST(NativeLoad, TemplateOfTheFileIsUsedOrTheOneGiven) {
  if (!std::filesystem::exists(kModel)) GTEST_SKIP() << kModel << " is absent";
  const std::string path = with_template("{{ bos_token }}{{ messages[0].content }}");
  const auto model = NativeModel::load(one_user(path));
  ModelLoadOptions own = one_user(path);
  own.chat_template = "own: {{ messages[0].content }}";
  const auto other = NativeModel::load(own);
  std::filesystem::remove(path);
  const Case expected = read_cases().front();
  ChatPrompt prompt;
  prompt.messages = {user_message(expected.prompt)};
  ASSERT_NE(model->chat_template(), nullptr);
  EXPECT_EQ(model->render(prompt).prompt, "<s>" + expected.prompt);
  EXPECT_EQ(other->render(prompt).prompt, "own: " + expected.prompt);
  AnswerRequest request;
  request.prompt = prompt;
  request.options = greedy(static_cast<int32_t>(expected.ids.size()));
  EXPECT_EQ(ask(*model, request).text, expected.text);
}

TEST(NativeLoad, BrokenTemplateIsAnErrorOnlyWhenAskedFor) {
  if (!std::filesystem::exists(kModel)) GTEST_SKIP() << kModel << " is absent";
  const std::string path = with_template("{% for %}");
  const auto model = NativeModel::load(one_user(path));
  std::filesystem::remove(path);
  const Case expected = read_cases().front();
  EXPECT_EQ(generate(*model, expected.prompt, expected.ids.size()).text, expected.text);
  EXPECT_EQ(model->chat_template(), nullptr);
  ChatPrompt prompt;
  prompt.messages = {user_message("hi")};
  expect_error(ErrorCode::kInvalidArgument, "template line 1", [&] { model->render(prompt); });
  ModelLoadOptions options = one_user(kModel);
  options.kv_type = "q3";
  expect_error(ErrorCode::kInvalidArgument, "q8_0", [&] { NativeModel::load(options); });
}

/// A request of a random kind: prompts that share beginnings, greedy and sampled, with and without
/// formats, stops, penalties and a full context.
AnswerRequest random_request(std::mt19937& random, uint32_t vocab) {
  AnswerRequest request;
  std::mt19937 beginning(random() % 3);
  TokenPrompt prompt;
  for (size_t n = 1 + random() % 50; n > 0; --n) {
    prompt.tokens.push_back(static_cast<TokenId>(beginning() % vocab));
  }
  prompt.tokens.push_back(static_cast<TokenId>(random() % vocab));
  request.prompt = std::move(prompt);
  request.options = greedy(static_cast<int32_t>(1 + random() % 70));
  request.options.return_tokens = true;
  SamplingOptions& sampling = request.options.sampling;
  if (random() % 2 == 0) {
    sampling.temperature = 1;
    sampling.seed = static_cast<int64_t>(random() % 1000);
    sampling.top_k = static_cast<int32_t>(random() % 2 * 40);
    sampling.top_p = random() % 2 == 0 ? 0.9f : 1.0f;
  }
  if (random() % 4 == 0) sampling.frequency_penalty = 0.5f;
  if (random() % 3 == 0) {
    request.options.format.kind = AnswerFormat::Kind::kRegex;
    request.options.format.source = "[a-f ]{1,30}";
  }
  if (random() % 4 == 0) request.options.stop = {"e"};
  if (random() % 6 == 0) {
    request.options.context_length = 100;
    request.options.shift_context = true;
  }
  return request;
}

std::vector<std::filesystem::path> small_models() {
  std::vector<std::filesystem::path> models = {kModel};
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(kReference / "architectures")) {
    if (entry.path().extension() == ".gguf") models.push_back(entry.path());
  }
  return models;
}

/// Some are cancelled on the way, and the cache is too small for all, so that some start again.
TEST(NativeLoad, AnswersAmongManyAreThoseOfOneAlone) {
  if (!std::filesystem::exists(kModel)) GTEST_SKIP() << kModel << " is absent";
  std::mt19937 random(1);
  uint64_t preemptions = 0;
  uint64_t cached = 0;
  for (const auto& path : small_models()) {
    ModelLoadOptions options = one_user(path);
    options.context_length = 128;
    const auto alone = NativeModel::load(options);
    options.max_sequences = 8;
    options.kv_capacity_tokens = 128;
    const auto shared = NativeModel::load(options);
    const bool is_first = path == kModel;
    std::vector<AnswerRequest> requests;
    for (int i = 0; i < (is_first ? 60 : 12); ++i) {
      requests.push_back(random_request(random, shared->facts().vocab_size));
    }
    std::vector<std::unique_ptr<PendingAnswer>> pending;
    for (const AnswerRequest& request : requests) {
      pending.push_back(std::make_unique<PendingAnswer>(*shared, request));
    }
    for (size_t i = 0; i < requests.size(); i += 5) pending[i]->cancel();
    for (size_t i = 0; i < requests.size(); ++i) {
      const Answer& answer = pending[i]->wait();
      ASSERT_FALSE(answer.error) << path << ": " << answer.error->what();
      requests[i].options.cancellation = {};
      const Answer expected = ask(*alone, requests[i]);
      if (answer.result.finish_reason == FinishReason::kCancelled) {
        const auto& ids = answer.result.tokens;
        ASSERT_LE(ids.size(), expected.result.tokens.size());
        ASSERT_TRUE(std::equal(ids.begin(), ids.end(), expected.result.tokens.begin()));
        continue;
      }
      ASSERT_EQ(answer.result.tokens, expected.result.tokens) << path << ", request " << i;
      ASSERT_EQ(answer.text, expected.text);
      ASSERT_EQ(answer.result.finish_reason, expected.result.finish_reason);
      ASSERT_EQ(answer.result.stop_sequence, expected.result.stop_sequence);
    }
    preemptions += shared->activity().preemptions;
    cached += shared->activity().cached_tokens;
  }
  EXPECT_GT(cached, 0u);
  // Whether the answers above met in the cache is a matter of time: long ones do sooner or later.
  ModelLoadOptions crowded = one_user(kModel);
  crowded.context_length = 128;
  crowded.max_sequences = 8;
  crowded.kv_capacity_tokens = 128;
  const auto shared = NativeModel::load(crowded);
  for (int round = 0; preemptions == 0 && round < 50; ++round) {
    AnswerRequest request;
    request.prompt = TextPrompt{"Once upon a time " + std::to_string(round), std::nullopt, true};
    request.options.sampling.temperature = 0;
    request.options.max_tokens = 90;
    std::vector<std::unique_ptr<PendingAnswer>> pending;
    for (int i = 0; i < 8; ++i)
      pending.push_back(std::make_unique<PendingAnswer>(*shared, request));
    for (const auto& answer : pending) ASSERT_FALSE(answer->wait().error);
    preemptions = shared->activity().preemptions;
  }
  EXPECT_GT(preemptions, 0u);
}

std::vector<Isa> supported() {
  std::vector<Isa> isas;
  for (const auto& row : isa_table()) {
    if (isa_is_supported(row.isa)) isas.push_back(row.isa);
  }
  return isas;
}

INSTANTIATE_TEST_SUITE_P(Isas, NativeReferenceTest, ::testing::ValuesIn(supported()),
                         [](const auto& param) { return std::string(isa_name(param.param)); });

}  // namespace
}  // namespace omg::testing
