// SPDX-License-Identifier: Apache-2.0
//
// Ranges are OpenAI's where it has the field, else those of the table of parameters.
#include "daemon/openai/request_fields.h"

#include <array>
#include <cmath>
#include <fmt/format.h>
#include <limits>

#include "daemon/openai/openai.h"
#include "daemon/requests/keep_alive.h"

namespace omg::openai {
namespace {

using Kind = FieldError::Kind;

constexpr int64_t kInt32Max = std::numeric_limits<int32_t>::max();
constexpr int64_t kMaxSeed = (int64_t{1} << 53) - 1;  // what every JSON number can say
constexpr size_t kMaxBiases = 1024;
constexpr size_t kMaxModelBytes = 1024;

/// OpenAI's fields without a meaning here. Clients that name all fields send null for them.
constexpr std::array<std::string_view, 9> kRefused = {
    "audio",      "functions",          "function_call",        "moderation",
    "prediction", "web_search_options", "prompt_cache_options", "min_tokens",
    "best_of"};

void read_logit_bias(JsonFields& fields, CommonFields& common) {
  const json::object* biases = fields.object("logit_bias");
  if (biases == nullptr) return;
  if (biases->size() > kMaxBiases) {
    fields.fail(Kind::kWrongValue, "logit_bias",
                fmt::format("has {} tokens, and at most {} are taken", biases->size(), kMaxBiases));
  }
  JsonFields values(*biases, fields.path_of("logit_bias"));
  for (const auto& member : *biases) {
    const std::string_view key(member.key().data(), member.key().size());
    const std::optional<int64_t> token = parse_integer(key);
    if (!token || *token < 0 || *token > kInt32Max) {
      fields.fail(Kind::kWrongValue, "logit_bias",
                  fmt::format("has the key '{}': keys are ids of tokens", shortened(key)));
    }
    const std::optional<double> bias = values.number(key, -100, 100);
    if (!bias) values.fail(Kind::kWrongType, key, "must be a number, not null");
    common.logit_bias.emplace_back(static_cast<int32_t>(*token), static_cast<float>(*bias));
  }
}

void read_stop(JsonFields& fields, Parameters& parameters) {
  parameters.stop = fields.strings("stop", kMaxStops);
  for (size_t i = 0; i < parameters.stop.size(); ++i) {
    const size_t size = parameters.stop[i].size();
    if (size >= 1 && size <= kMaxStopBytes) continue;
    fields.fail(Kind::kWrongValue, fmt::format("stop[{}]", i),
                fmt::format("has a text of {} bytes: each has 1 to {}", size, kMaxStopBytes));
  }
}

/// One number under two names, as other servers have it.
std::optional<double> read_repeat_penalty(JsonFields& fields) {
  const std::optional<double> ours = fields.number("repeat_penalty", 0.01, 100);
  const std::optional<double> other = fields.number("repetition_penalty", 0.01, 100);
  if (ours && other && *ours != *other) {
    fields.fail(Kind::kWrongValue, "repetition_penalty",
                "means the same as repeat_penalty, and both are set, to different numbers");
  }
  return ours ? ours : other;
}

void read_sampling(JsonFields& fields, Parameters& parameters) {
  parameters.temperature = fields.number("temperature", 0, 2);
  parameters.top_p = fields.number("top_p", 0, 1);
  parameters.presence_penalty = fields.number("presence_penalty", -2, 2);
  parameters.frequency_penalty = fields.number("frequency_penalty", -2, 2);
  parameters.seed = fields.integer("seed", -1, kMaxSeed);
  parameters.top_k = fields.integer("top_k", 0, kInt32Max);
  parameters.min_p = fields.number("min_p", 0, 1);
  parameters.typical_p = fields.number("typical_p", 0, 1);
  parameters.repeat_penalty = read_repeat_penalty(fields);
  parameters.repeat_last_n = fields.integer("repeat_last_n", -1, kInt32Max);
  read_stop(fields, parameters);
}

void read_streaming(JsonFields& fields, CommonFields& common) {
  common.stream = fields.boolean("stream").value_or(false);
  std::optional<JsonFields> options = fields.fields("stream_options");
  if (!options) return;
  if (!common.stream) {
    fields.fail(Kind::kWrongValue, "stream_options", "is only allowed where stream is true");
  }
  common.include_usage = options->boolean("include_usage").value_or(false);
  options->boolean("include_obfuscation");  // padding against eavesdroppers: there is none
  options->finish();
}

/// What has no effect on the answer here, and promises none that a client would miss.
void read_harmless(JsonFields& fields) {
  fields.string("user");
  fields.string("safety_identifier");
  fields.string("prompt_cache_key");  // equal beginnings are found without
  fields.choice("prompt_cache_retention", {"in_memory"});
  fields.choice("service_tier", {"auto", "default"});
  fields.choice("verbosity", {"medium"});
  for (const std::string& modality : fields.strings("modalities", 8)) {
    if (modality != "text") {
      fields.fail(Kind::kWrongValue, "modalities", "has more than 'text': models answer in text");
    }
  }
  if (fields.boolean("store").value_or(false)) {
    fields.fail(Kind::kUnsupported, "store", "cannot be true: answers are not stored");
  }
  if (const json::object* metadata = fields.object("metadata")) {
    for (const auto& member : *metadata) {
      if (!member.value().is_string()) {
        fields.fail(Kind::kWrongType, "metadata", "must have strings for values");
      }
    }
  }
}

void read_keep_alive(JsonFields& fields, CommonFields& common) {
  const json::value* value = fields.value("keep_alive");
  if (value == nullptr) return;
  common.keep_alive = keep_alive_of(*value);
  if (!common.keep_alive) {
    fields.fail(value->is_string() || value->is_number() ? Kind::kWrongValue : Kind::kWrongType,
                "keep_alive", "must be a number of seconds or a duration such as \"10m\"");
  }
}

void read_schema(JsonFields& format, AnswerFormat& result) {
  JsonFields named = format.required_fields("json_schema");
  named.string("name");
  named.string("description");
  named.boolean("strict");  // answers follow the schema either way
  named.required("schema");
  result.kind = AnswerFormat::Kind::kJsonSchema;
  result.schema = *named.object("schema");
  named.finish();
}

void read_response_format(JsonFields& fields, AnswerFormat& result) {
  std::optional<JsonFields> format = fields.fields("response_format");
  if (!format) return;
  format->required("type");
  const std::string type = *format->choice("type", {"text", "json_object", "json_schema"});
  if (type == "json_schema") {
    read_schema(*format, result);
  } else if (type == "json_object") {
    result.kind = AnswerFormat::Kind::kJsonObject;
    // llama.cpp's and others' way to say json_schema.
    if (const json::object* schema = format->object("schema")) {
      result.kind = AnswerFormat::Kind::kJsonSchema;
      result.schema = *schema;
    }
  }
  format->finish();
}

void read_grammars(JsonFields& fields, AnswerFormat& format) {
  struct Field {
    const char* name;
    AnswerFormat::Kind kind;
  };
  constexpr std::array<Field, 3> kFields = {{{"grammar", AnswerFormat::Kind::kGbnf},
                                             {"regex", AnswerFormat::Kind::kRegex},
                                             {"guided_regex", AnswerFormat::Kind::kRegex}}};
  for (const Field& field : kFields) {
    std::optional<std::string> source = fields.string(field.name);
    if (!source) continue;
    if (source->empty()) fields.fail(Kind::kWrongValue, field.name, "cannot be empty");
    if (format.kind != AnswerFormat::Kind::kFree) {
      fields.fail(Kind::kWrongValue, field.name,
                  "cannot be set where another format of the answer is: response_format, grammar, "
                  "regex and guided_regex exclude each other");
    }
    format.kind = field.kind;
    format.source = std::move(*source);
  }
}

}  // namespace

CommonFields read_common_fields(JsonFields& fields) {
  CommonFields common;
  common.model = fields.required_string("model");
  if (common.model.empty() || common.model.size() > kMaxModelBytes) {
    fields.fail(Kind::kWrongValue, "model",
                fmt::format("has {} bytes: a model's name has 1 to {}", common.model.size(),
                            kMaxModelBytes));
  }
  read_sampling(fields, common.parameters);
  read_logit_bias(fields, common);
  read_streaming(fields, common);
  read_harmless(fields);
  read_keep_alive(fields, common);
  common.n = static_cast<uint32_t>(fields.integer("n", 1, kMaxOpenAiChoices).value_or(1));
  return common;
}

void read_format_fields(JsonFields& fields, AnswerFormat& format) {
  read_response_format(fields, format);
  read_grammars(fields, format);
}

ModelCall call_of_choice(const CommonFields& common, uint32_t i) {
  ModelCall call;
  call.model = common.model;
  call.parameters = common.parameters;
  std::optional<int64_t>& seed = call.parameters.seed;
  if (i > 0) seed = seed.value_or(-1) < 0 ? -1 : (*seed + i) & kMaxSeed;
  call.logit_bias = common.logit_bias;
  call.top_logprobs = common.top_logprobs;
  call.format = common.format;
  call.keep_alive = common.keep_alive;
  return call;
}

void finish_fields(JsonFields& fields) {
  for (const std::string_view name : kRefused) {
    if (!fields.has(name)) fields.skip(name);
  }
  fields.finish();
}

}  // namespace omg::openai
