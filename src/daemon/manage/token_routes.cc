// SPDX-License-Identifier: Apache-2.0
//
// /v1/tokenize and /v1/detokenize: with the vocabulary of a model, which is loaded for it.
#include "base/utf8.h"
#include "daemon/manage/replies.h"
#include "daemon/requests/outgoing_stream.h"

namespace omg::manage {
namespace {

constexpr size_t kMaxTokens = 4u << 20;

/// Answers with what `work` makes of the model, or with what went wrong.
template <typename Work>
void with_model(ModelService& models, const std::string& model, HttpResponder& responder,
                Work work) {
  const auto stream = OutgoingStream::create(std::move(responder));
  stream->on_gone(
      models.with_model(model, [stream, work = std::move(work)](const Error* error, Model* loaded) {
        try {
          stream->send(error != nullptr ? error_answer(*error) : json_answer(work(*loaded)));
        } catch (const Error& failure) {
          stream->send(error_answer(failure));
        } catch (const std::exception& failure) {
          stream->send(error_answer(Error(ErrorCode::kInternal, failure.what())));
        }
      }));
}

void tokenize(ModelService& models, HttpServerRequest& request, HttpResponder& responder) {
  check_query(request, {});
  const json::object body = parse_body(request.body);
  JsonFields fields(body);
  const std::string model = read_model(fields);
  std::string text = fields.required_string("text");
  TokenizeOptions options;
  options.add_special = fields.boolean("add_special").value_or(options.add_special);
  options.parse_special = fields.boolean("parse_special").value_or(options.parse_special);
  fields.finish();
  with_model(models, model, responder, [text = std::move(text), options](Model& loaded) {
    json::array tokens;
    for (const int32_t token : loaded.tokenize(text, options)) tokens.push_back(token);
    const size_t count = tokens.size();
    return json::object{{"tokens", std::move(tokens)}, {"count", count}};
  });
}

std::vector<int32_t> read_tokens(const json::array& array, JsonFields& fields) {
  if (array.size() > kMaxTokens) {
    fields.fail(FieldError::Kind::kWrongValue, "tokens", "must have at most 4194304 numbers");
  }
  std::vector<int32_t> tokens;
  tokens.reserve(array.size());
  for (const json::value& value : array) {
    const int64_t* const number = value.if_int64();
    if (number == nullptr || *number < 0 || *number > INT32_MAX) {
      fields.fail(FieldError::Kind::kWrongType, "tokens", "must be an array of token ids");
    }
    tokens.push_back(static_cast<int32_t>(*number));
  }
  return tokens;
}

void detokenize(ModelService& models, HttpServerRequest& request, HttpResponder& responder) {
  check_query(request, {});
  const json::object body = parse_body(request.body);
  JsonFields fields(body);
  const std::string model = read_model(fields);
  std::vector<int32_t> tokens = read_tokens(fields.required_array("tokens"), fields);
  fields.finish();
  with_model(models, model, responder, [tokens = std::move(tokens)](Model& loaded) {
    const std::string text = loaded.detokenize(tokens);
    // The bytes of a token may be a part of a character.
    return json::object{{"text", replace_invalid_utf8(text)}, {"whole", is_valid_utf8(text)}};
  });
}

}  // namespace

void add_token_routes(HttpRouter& router, const ManageParts& parts) {
  ModelService& models = parts.models;
  router.add("POST", "/v1/tokenize",
             [&models](HttpServerRequest& request, HttpResponder& responder) {
               tokenize(models, request, responder);
             });
  router.add("POST", "/v1/detokenize",
             [&models](HttpServerRequest& request, HttpResponder& responder) {
               detokenize(models, request, responder);
             });
}

}  // namespace omg::manage
