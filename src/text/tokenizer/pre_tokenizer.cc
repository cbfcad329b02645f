// SPDX-License-Identifier: Apache-2.0
//
// The patterns are those of the models' own tokenizer.json files in the form in which llama.cpp
// applies them, which is what model files are made for. Where that form differs from the original
// (cased letter classes that do not tell the cases of non-ASCII letters apart), it is llama.cpp's
// that stands here. Nested repetitions are written as single classes: "letters but a-z" is
// [^\P{L}a-z], which needs no stack however long the word.
#include "text/tokenizer/pre_tokenizer.h"

#include <string>

#include "base/error.h"

namespace omg {
namespace {

#define OMG_CONTRACTION R"('(?:[sStTmMdD]|[rR][eE]|[vV][eE]|[lL][lL]))"
#define OMG_SPACES R"(|\s+(?!\S)|\s+)"
#define OMG_SYMBOLS R"(| ?[^\s\p{L}\p{N}]+[\r\n]*)"
#define OMG_SYMBOLS_SLASH R"(| ?[^\s\p{L}\p{N}]+[\r\n/]*)"
#define OMG_NEWLINES R"(|\s*[\r\n]+)"
#define OMG_WORD R"([^\r\n\p{L}\p{N}]?\p{L}+)"
#define OMG_NOT_LOWER R"([^\P{L}a-z])"
#define OMG_NOT_UPPER R"([^\P{L}A-Z])"
#define OMG_LEAD R"([^\r\n\p{L}\p{N}]?)"
#define OMG_HAN                                                                     \
  R"(\x{3400}-\x{4DBF}\x{4E00}-\x{9FFF}\x{F900}-\x{FAFF}\x{20000}-\x{2A6DF})"       \
  R"(\x{2A700}-\x{2B73F}\x{2B740}-\x{2B81F}\x{2B820}-\x{2CEAF}\x{2CEB0}-\x{2EBEF})" \
  R"(\x{2F800}-\x{2FA1F})"

constexpr const char* kGpt2 =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr const char* kLlama3 =
    OMG_CONTRACTION "|" OMG_WORD R"(|\p{N}{1,3})" OMG_SYMBOLS OMG_NEWLINES OMG_SPACES;
constexpr const char* kQwen2 =
    OMG_CONTRACTION "|" OMG_WORD R"(|\p{N})" OMG_SYMBOLS OMG_NEWLINES OMG_SPACES;
constexpr const char* kQwen35 = OMG_CONTRACTION
    R"(|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*)" OMG_NEWLINES
        OMG_SPACES;
// After whitespace that is no newline the rest of its run has none either, as newlines were looked
// for at the run's start; looking again at every piece would be quadratic.
constexpr const char* kJais2 = OMG_CONTRACTION
    "|" OMG_WORD R"(|\p{N}{1,3})" OMG_SYMBOLS R"(|(?<!(?![\r\n])\s)\s*[\r\n]+)"
    R"(|\s{512}(?!\S)|\s{256}(?!\S)|\s{128}(?!\S)|\s{64}(?!\S)|\s{32}(?!\S)|\s{16}(?!\S))"
    R"(|\s{8}(?!\S)|\s{4}(?!\S)|\s{1,2}(?!\S)|\s)";
constexpr const char* kMinicpm5 =
    OMG_CONTRACTION "|" OMG_WORD R"(|\p{N}+)" OMG_SYMBOLS OMG_NEWLINES OMG_SPACES;
constexpr const char* kBailing =
    OMG_CONTRACTION "|" OMG_WORD R"(|\p{N})" OMG_SYMBOLS R"(|\s*[\r\n])" OMG_SPACES;
constexpr const char* kSeedCoder =
    OMG_CONTRACTION "|" OMG_WORD R"(|\p{N}| ?[^\s\p{L}\p{N}\r\n]+)" OMG_NEWLINES OMG_SPACES;
constexpr const char* kExaoneMoe = OMG_CONTRACTION
    "|" OMG_LEAD
    R"(\p{L}\p{M}*+(?: ?\p{L}\p{M}*+)*+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n])" OMG_SPACES;
constexpr const char* kTekken =
    OMG_LEAD OMG_NOT_LOWER "*" OMG_NOT_UPPER "+|" OMG_LEAD OMG_NOT_LOWER "+" OMG_NOT_UPPER
                           R"(*|\p{N})" OMG_SYMBOLS_SLASH OMG_NEWLINES OMG_SPACES;
constexpr const char* kGpt4o = OMG_LEAD OMG_NOT_LOWER
    "*" OMG_NOT_UPPER "+(?:" OMG_CONTRACTION ")?|" OMG_LEAD OMG_NOT_LOWER "+" OMG_NOT_UPPER
    "*(?:" OMG_CONTRACTION R"()?|\p{N}{1,3})" OMG_SYMBOLS_SLASH OMG_NEWLINES OMG_SPACES;
// As kGpt4o, over letters and marks: what is no letter or mark is a number, punctuation, symbol,
// separator or control.
#define OMG_MARKED_NOT_LOWER R"([^\p{N}\p{P}\p{S}\p{Z}\p{C}a-z])"
#define OMG_MARKED_NOT_UPPER R"([^\p{N}\p{P}\p{S}\p{Z}\p{C}A-Z])"
constexpr const char* kGraniteEmbedding = OMG_LEAD OMG_MARKED_NOT_LOWER
    "*" OMG_MARKED_NOT_UPPER "+(?:" OMG_CONTRACTION ")?|" OMG_LEAD OMG_MARKED_NOT_LOWER
    "+" OMG_MARKED_NOT_UPPER "*(?:" OMG_CONTRACTION
    R"()?|\p{N}{1,3})" OMG_SYMBOLS_SLASH OMG_NEWLINES OMG_SPACES;
constexpr const char* kTinyAya =
    OMG_LEAD R"([\p{L}\p{M}]+(?:)" OMG_CONTRACTION
             R"()?|\p{N}{1,3})" OMG_SYMBOLS_SLASH OMG_NEWLINES OMG_SPACES;
constexpr const char* kYoutuScripts =
    R"([\x{AC00}-\x{D7A3}\x{3131}-\x{318E}]+)"
    R"(|[\x{FF01}\x{2026}\x{201C}\x{201D}\x{2018}\x{2019}\x{2014}\x{FF1A}\x{FF1B}\x{FF0C})"
    R"(\x{3001}-\x{303F}\x{FE30}-\x{FE4F}]+|[\x{3105}-\x{312F}]+)"
    R"(|[\x{4E00}-\x{9FA5}\x{3040}-\x{309F}\x{30A0}-\x{30FF}]+)";
constexpr const char* kYoutu = OMG_LEAD R"([\p{L}\p{M}]+(?:)" OMG_CONTRACTION
                                        R"()?|\p{N})" OMG_SYMBOLS_SLASH OMG_NEWLINES OMG_SPACES;
constexpr const char* kKimi =
    "[" OMG_HAN "]+|" OMG_LEAD R"([^\P{L})" OMG_HAN "]+(?:" OMG_CONTRACTION
    R"()?|\p{N}{1,3})" OMG_SYMBOLS OMG_NEWLINES OMG_SPACES;

constexpr const char* kDeepseekLetters =
    R"(\s?[A-Za-z\x{B5}\x{C0}-\x{D6}\x{D8}-\x{F6}\x{F8}-\x{1BA}\x{1BC}-\x{1BF}\x{1C4}-\x{293})"
    R"(\x{295}-\x{2AF}\x{370}-\x{373}\x{376}\x{377}\x{37B}-\x{37D}\x{37F}\x{386}\x{388}-\x{38A})"
    R"(\x{38C}\x{38E}-\x{3A1}\x{3A3}-\x{3F5}\x{3F7}-\x{481}\x{48A}-\x{52F}\x{531}-\x{556})"
    R"(\x{10A0}-\x{10C5}\x{13A0}-\x{13F5}\x{13F8}-\x{13FD}\x{1C90}-\x{1CBA}\x{1CBD}-\x{1CBF})"
    R"(\x{1D00}-\x{1D2B}\x{1D6B}-\x{1D77}\x{1D79}-\x{1D9A}\x{1E00}-\x{1F15}\x{1F18}-\x{1F1D})"
    R"(\x{1F20}-\x{1F45}\x{1F48}-\x{1F4D}\x{1F50}-\x{1F57}\x{1F59}\x{1F5B}\x{1F5D})"
    R"(\x{1F5F}-\x{1F7D}\x{1F80}-\x{1FB4}\x{1FB6}-\x{1FBC}\x{1FBE}\x{1FC2}-\x{1FC4})"
    R"(\x{1FC6}-\x{1FCC}\x{1FD0}-\x{1FD3}\x{1FD6}-\x{1FDB}\x{1FE0}-\x{1FEC}\x{1FF2}-\x{1FF4})"
    R"(\x{1FF6}-\x{1FFC}\x{2102}\x{2107}\x{210A}-\x{2113}\x{2115}\x{2119}-\x{211D}\x{2124})"
    R"(\x{2126}\x{2128}\x{212A}-\x{212D}\x{212F}-\x{2134}\x{2139}\x{213C}-\x{213F})"
    R"(\x{2145}-\x{2149}\x{214E}\x{2183}\x{2184}\x{2C00}-\x{2C7B}\x{2C7E}-\x{2CE4})"
    R"(\x{2CEB}-\x{2CEE}\x{2CF2}\x{2CF3}\x{A640}-\x{A66D}\x{A680}-\x{A69B}\x{A722}-\x{A76F})"
    R"(\x{A771}-\x{A787}\x{A78B}-\x{A78E}\x{AB70}-\x{ABBF}\x{FB00}-\x{FB06}\x{FB13}-\x{FB17})"
    R"(\x{FF21}-\x{FF3A}\x{FF41}-\x{FF5A}\x{10400}-\x{1044F}\x{104B0}-\x{104D3})"
    R"(\x{104D8}-\x{104FB}\x{10C80}-\x{10CB2}\x{10CC0}-\x{10CF2}\x{118A0}-\x{118DF})"
    R"(\x{1E900}-\x{1E943}]+)";
constexpr const char* kDeepseekPunctuation =
    R"(\s?[!-/:-~\x{FF01}-\x{FF0F}\x{FF1A}-\x{FF5E}\x{2018}-\x{201F}\x{3001}\x{3002}]+)";
// U+0800 to U+4E00 but for the whitespace in it, U+4E00 to U+9FA5, and Hangul.
constexpr const char* kDeepseekCjk =
    R"([\x{800}-\x{167F}\x{1681}-\x{1FFF}\x{200B}-\x{2027}\x{202A}-\x{202E}\x{2030}-\x{205E})"
    R"(\x{2060}-\x{2FFF}\x{3001}-\x{9FA5}\x{AC00}-\x{D7FF}]+)";
constexpr const char* kDeepseek3Cjk = R"([\x{4E00}-\x{9FA5}\x{3040}-\x{309F}\x{30A0}-\x{30FF}]+)";
// The symbols of llama.cpp's \p{S} lack '~' here; everything that is no punctuation or symbol is
// written as what it is instead.
constexpr const char* kDeepseek3 =
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+)"
    R"(|(?:~|[^\r\n\p{L}\p{P}\p{S}])?[\p{L}\p{M}]+)"
    R"(| ?[^\p{L}\p{M}\p{N}\p{Z}\p{C}~]+[\r\n]*)" OMG_NEWLINES OMG_SPACES;
constexpr const char* kAfmoeScripts =
    R"([\x{4E00}-\x{9FFF}\x{3400}-\x{4DBF}\x{8C48}-\x{FAFF}\x{3040}-\x{309F}\x{30A0}-\x{30FF})"
    R"(\x{FF65}-\x{FF9F}\x{2F00}-\x{2FDF}\x{E40}-\x{E7F}\x{E80}-\x{EFF}\x{1780}-\x{17FF})"
    R"(\x{1000}-\x{109F}\x{AA60}-\x{AA7F}\x{A9E0}-\x{A9FF}\x{AC00}-\x{D7AF}\x{1100}-\x{11FF}]+)";
constexpr const char* kSentenceSplit =
    R"( ?[^(\s|.,!?\x{2026}\x{3002}\x{FF0C}\x{3001}\x{964}\x{6D4}\x{60C})]+)";

struct Row {
  std::vector<std::string_view> names;
  PreTokenizer value;
};

SplitStep regex(const char* pattern) {
  return {SplitKind::kRegex, pattern};
}

SplitStep scanned(Scanner scanner, const char* pattern) {
  return {SplitKind::kRegex, pattern, scanner};
}

SplitStep each_number() {
  return scanned(Scanner::kEachNumber, R"(\p{N})");
}
SplitStep number_triples() {
  return scanned(Scanner::kNumberTriples, R"(\p{N}{1,3})");
}
SplitStep numbers() {
  return scanned(Scanner::kNumbers, R"(\p{N}+)");
}

std::vector<Row> gpt2_rows() {
  return {
      {{"default"},
       {.steps = {regex(R"([\p{P}$+<=>^~|]+)"), scanned(Scanner::kGpt2, kGpt2), numbers(),
                  regex("[0-9][0-9][0-9]")}}},
      {{"gpt-2", "phi-2", "jina-es", "jina-de", "gigachat", "jina-v2-es", "jina-v2-de", "a.x-4.0",
        "mellum", "modern-bert", "jina-v1-en", "jina-v2-code", "roberta-bpe", "mpt", "olmo", "jais",
        "trillion", "granite-docling", "exaone4"},
       {.steps = {scanned(Scanner::kGpt2, kGpt2)}}},
      {{"starcoder", "refact", "command-r", "smollm", "codeshell", "exaone", "minerva-7b",
        "mellum2"},
       {.steps = {each_number(), scanned(Scanner::kGpt2, kGpt2)}}},
      {{"falcon"},
       {.steps = {regex(R"([\p{P}$+<=>^~|`]+)"), scanned(Scanner::kGpt2, kGpt2),
                  regex("[0-9][0-9][0-9]")}}},
      {{"chameleon"},
       {.steps = {regex("<sentinel:[0-9]+>"), regex("IMGIMG[A-I]{1,4}Z"),
                  regex(R"([\t\n]|    |  )"), each_number(), regex(R"([\p{P}!-/:-@\[-`{-~])"),
                  scanned(Scanner::kGpt2, kGpt2)},
        .add_bos = true}},
      {{"poro-chat", "bloom", "gpt3-finnish"}, {.steps = {regex(kSentenceSplit)}}},
      {{"viking"}, {.steps = {regex(kSentenceSplit), each_number()}}},
  };
}

std::vector<Row> llama3_rows() {
  return {
      {{"llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2",
        "jina-v5-nano"},
       {.steps = {scanned(Scanner::kLlama3, kLlama3)}, .ignore_merges = true, .add_bos = true}},
      {{"dbrx", "smaug-bpe", "glm4", "chatglm-bpe"},
       {.steps = {scanned(Scanner::kLlama3, kLlama3)}}},
      {{"qwen2", "deepseek-r1-qwen", "kormo", "f2llmv2", "megrez", "stablelm2", "hunyuan",
        "solar-open", "grok-2"},
       {.steps = {scanned(Scanner::kQwen2, kQwen2)}}},
      {{"qwen35"}, {.steps = {scanned(Scanner::kQwen35, kQwen35)}}},
      {{"jais-2"}, {.steps = {regex(kJais2)}}},
      {{"minicpm5"},
       {.steps = {number_triples(), scanned(Scanner::kMinicpm5, kMinicpm5)},
        .ignore_merges = true}},
      {{"bailingmoe", "bailingmoe2", "llada-moe"}, {.steps = {scanned(Scanner::kQwen2, kBailing)}}},
      {{"seed-coder"}, {.steps = {scanned(Scanner::kSeedCoder, kSeedCoder)}}},
      {{"exaone-moe"}, {.steps = {regex(kExaoneMoe)}}},
      {{"laguna"}, {.steps = {{SplitKind::kNewlineRuns}, scanned(Scanner::kQwen2, kQwen2)}}},
      {{"tekken"},
       {.steps = {scanned(Scanner::kTekken, kTekken)}, .ignore_merges = true, .add_bos = true}},
      {{"gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"},
       {.steps = {scanned(Scanner::kGpt4o, kGpt4o)}}},
      {{"granite-embed-multi-97m"},
       {.steps = {scanned(Scanner::kGraniteEmbedding, kGraniteEmbedding)}, .ignore_merges = true}},
      {{"tiny_aya", "cohere2moe"},
       {.steps = {{SplitKind::kDigitGroups}, scanned(Scanner::kTinyAya, kTinyAya)}}},
      {{"youtu"},
       {.steps = {regex(kYoutuScripts), scanned(Scanner::kYoutu, kYoutu)}, .ignore_merges = true}},
      {{"kimi-k2"}, {.steps = {scanned(Scanner::kKimi, kKimi)}, .merges_optional = true}},
  };
}

std::vector<Row> other_rows() {
  return {
      {{"deepseek-llm"},
       {.steps = {regex(R"([\r\n])"),
                  regex(kDeepseekLetters),
                  regex(kDeepseekPunctuation),
                  {SplitKind::kTrailingSpace},
                  regex(kDeepseekCjk),
                  numbers()}}},
      {{"deepseek-coder"},
       {.steps = {regex(R"([\r\n])"), regex(R"(\s?\p{L}+)"), regex(R"(\s?\p{P}+)"),
                  regex(kDeepseekCjk), each_number()}}},
      {{"deepseek-v3", "hunyuan-dense", "joyai-llm"},
       {.steps = {number_triples(), regex(kDeepseek3Cjk), regex(kDeepseek3)}}},
      {{"afmoe"}, {.steps = {{SplitKind::kDigitGroups}, regex(kAfmoeScripts), regex(kDeepseek3)}}},
      {{"superbpe"}, {.steps = {numbers(), {SplitKind::kTrailingDigits}}}},
      {{"gemma4", "granite-embed-multi-311m"},
       {.steps = {{SplitKind::kNewlineRuns}},
        .force_bos = true,
        .raw_text = true,
        .whole_newlines = true}},
      {{"whitespace"}, {.steps = {regex(R"(\S+)")}, .raw_text = true, .keep_spaces = true}},
      {{"sarvam-moe"}, {.steps = {{SplitKind::kNewlineRuns}}, .raw_text = true}},
  };
}

std::vector<Row> table() {
  std::vector<Row> rows = gpt2_rows();
  for (auto& row : llama3_rows()) rows.push_back(std::move(row));
  for (auto& row : other_rows()) rows.push_back(std::move(row));
  return rows;
}

}  // namespace

PreTokenizer find_pre_tokenizer(std::string_view name) {
  for (const Row& row : table()) {
    for (const std::string_view known : row.names) {
      if (known == name) return row.value;
    }
  }
  throw Error(ErrorCode::kUnsupported,
              "cannot tokenize: pre-tokenizer '" + std::string(name) +
                  "' (key tokenizer.ggml.pre) is not known; update this program, or convert the "
                  "model with a pre-tokenizer that it knows");
}

std::vector<std::string_view> pre_tokenizer_names() {
  std::vector<std::string_view> names;
  for (const Row& row : table()) names.insert(names.end(), row.names.begin(), row.names.end());
  return names;
}

}  // namespace omg
