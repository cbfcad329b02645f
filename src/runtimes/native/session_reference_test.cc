// SPDX-License-Identifier: Apache-2.0
//
// From a GGUF file to text: the trained reference model continues its prompts token for token as
// the reference implementation does, on every instruction set that this machine has.
#include <filesystem>
#include <gtest/gtest.h>
#include <random>
#include <unistd.h>

#include "base/json.h"
#include "formats/gguf/writer.h"
#include "formats/open_model_file.h"
#include "runtimes/native/session.h"

namespace omg {
namespace {

const std::filesystem::path kModels = std::filesystem::path(OMG_REFERENCE_DIR) / "models";
const std::filesystem::path kModel = kModels / "stories260K.gguf";

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
  const json::value file = parse_json_file(kModels / "stories260K.greedy.json");
  for (const auto& entry : file.as_array()) {
    cases.push_back({std::string(entry.at("prompt").as_string()), ids_of(entry.at("prompt_ids")),
                     ids_of(entry.at("ids")), std::string(entry.at("text").as_string())});
  }
  return cases;
}

struct Streamed {
  GenerationResult result;
  std::string text;
  std::vector<TokenId> ids;
};

Streamed generate(Session& session, const std::string& prompt, size_t tokens,
                  std::vector<std::string> stop = {}) {
  GenerateRequest request{prompt, true, {}};
  request.options.sampling.temperature = 0;
  request.options.max_tokens = static_cast<int32_t>(tokens);
  request.options.stop = std::move(stop);
  Streamed streamed;
  streamed.result = session.generate(request, [&](const GenerationPiece& piece) {
    streamed.text += piece.text;
    for (const SampledToken& token : piece.tokens) streamed.ids.push_back(token.token);
  });
  return streamed;
}

class SessionReferenceTest : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(kModel)) GTEST_SKIP() << kModel << " is absent";
  }
  std::unique_ptr<Session> load(uint32_t max_batch, uint32_t threads) const {
    EngineOptions options;
    options.isa = GetParam();
    options.max_batch_tokens = max_batch;
    options.threads = threads;
    return Session::load(kModel, options);
  }
};

TEST_P(SessionReferenceTest, GreedyContinuationsAgreeForAnyChunks) {
  const auto cases = read_cases();
  ASSERT_FALSE(cases.empty());
  std::mt19937 random(1);
  const uint32_t batches[] = {512, 1, 2 + static_cast<uint32_t>(random() % 8), 7};
  for (const uint32_t max_batch : batches) {
    const auto session = load(max_batch, 1);
    EXPECT_GT(session->load_duration().count(), 0);
    for (const Case& expected : cases) {
      const Streamed streamed = generate(*session, expected.prompt, expected.ids.size());
      EXPECT_EQ(streamed.result.prompt_tokens, expected.prompt_ids.size());
      EXPECT_EQ(streamed.ids, expected.ids) << expected.prompt;
      EXPECT_EQ(streamed.text, expected.text);
      EXPECT_EQ(streamed.result.finish_reason, FinishReason::kLength);
    }
  }
}

TEST_P(SessionReferenceTest, TwoThreadsChangeNothing) {
  const auto session = load(7, 2);
  const Case expected = read_cases().front();
  // Few tokens: where another program holds the second processor, each step waits for it.
  const Streamed streamed = generate(*session, expected.prompt, 30);
  EXPECT_TRUE(std::equal(streamed.ids.begin(), streamed.ids.end(), expected.ids.begin()));
  EXPECT_EQ(streamed.ids.size(), 30u);
}

TEST_P(SessionReferenceTest, StopStringCutsTheStory) {
  const auto session = load(512, 1);
  for (const Case& expected : read_cases()) {
    // A stop string from the middle of the text, longer than any token.
    const std::string stop = expected.text.substr(expected.text.size() / 2, 17);
    const Streamed streamed = generate(*session, expected.prompt, expected.ids.size(), {stop});
    EXPECT_EQ(streamed.text, expected.text.substr(0, expected.text.find(stop)));
    EXPECT_EQ(streamed.result.stop_sequence, stop);
  }
}

TEST_P(SessionReferenceTest, CachedPrefixChangesNothing) {
  const auto session = load(512, 1);
  const Case expected = read_cases().front();
  const Streamed first = generate(*session, expected.prompt, 40);
  const Streamed longer = generate(*session, expected.prompt + first.text, 20);
  EXPECT_GE(longer.result.cached_tokens, expected.prompt_ids.size());
  EXPECT_EQ(longer.text, generate(*load(512, 1), expected.prompt + first.text, 20).text);
  EXPECT_EQ(generate(*session, expected.prompt, 100).text, expected.text);
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
  const std::string path = testing::TempDir() + "omg_session_" + std::to_string(getpid()) + ".gguf";
  gguf::Writer writer(path, metadata, declarations);
  for (const TensorView& tensor : file.tensors()) writer.write(tensor.bytes);
  writer.finish();
  return path;
}

TEST(SessionLoad, TemplateOfTheFileIsUsed) {
  if (!std::filesystem::exists(kModel)) GTEST_SKIP() << kModel << " is absent";
  const std::string path = with_template("{{ bos_token }}{{ messages[0].content }}");
  const auto session = Session::load(path, {.threads = 1});
  std::filesystem::remove(path);
  const Case expected = read_cases().front();
  ChatRequest request;
  request.messages = {{{"role", "user"}, {"content", expected.prompt}}};
  request.options.sampling.temperature = 0;
  request.options.max_tokens = static_cast<int32_t>(expected.ids.size());
  ASSERT_NE(session->chat_template(), nullptr);
  EXPECT_EQ(session->render(request).prompt, "<s>" + expected.prompt);
  std::string text;
  session->chat(request, [&](const GenerationPiece& piece) { text += piece.text; });
  EXPECT_EQ(text, expected.text);
}

TEST(SessionLoad, BrokenTemplateIsAnErrorOnlyWhenAskedFor) {
  if (!std::filesystem::exists(kModel)) GTEST_SKIP() << kModel << " is absent";
  const std::string path = with_template("{% for %}");
  const auto session = Session::load(path, {.threads = 1});
  std::filesystem::remove(path);
  const Case expected = read_cases().front();
  EXPECT_EQ(generate(*session, expected.prompt, expected.ids.size()).text, expected.text);
  EXPECT_EQ(session->chat_template(), nullptr);
  ChatRequest request;
  request.messages = {{{"role", "user"}, {"content", "hi"}}};
  try {
    session->render(request);
    FAIL() << "a broken template was rendered";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    EXPECT_NE(std::string(error.what()).find("template line 1"), std::string::npos) << error.what();
  }
}

std::vector<Isa> supported() {
  std::vector<Isa> isas;
  for (const auto& row : isa_table()) {
    if (isa_is_supported(row.isa)) isas.push_back(row.isa);
  }
  return isas;
}

INSTANTIATE_TEST_SUITE_P(Isas, SessionReferenceTest, testing::ValuesIn(supported()),
                         [](const auto& param) { return std::string(isa_name(param.param)); });

}  // namespace
}  // namespace omg
