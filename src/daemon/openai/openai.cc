// SPDX-License-Identifier: Apache-2.0
//
// The routes: a body becomes a request, that becomes calls of models and the shape of their answer.
#include "daemon/openai/openai.h"

#include <memory>
#include <random>
#include <utility>

#include "daemon/openai/answering.h"
#include "daemon/openai/chat_request.h"
#include "daemon/openai/chat_shape.h"
#include "daemon/openai/completion_request.h"
#include "daemon/openai/completion_shape.h"
#include "daemon/openai/errors.h"

namespace omg {
namespace openai {
namespace {

/// What the handlers share.
class Api {
 public:
  explicit Api(const OpenAiParts& parts) : parts_(parts) {
    if (!parts_.random) {
      parts_.random = [] {
        std::random_device device;
        return uint64_t{device()} << 32 | device();
      };
    }
  }

  void chat(const HttpServerRequest& request, HttpResponder& responder) const;
  void complete(const HttpServerRequest& request, HttpResponder& responder) const;
  void list_models(HttpResponder& responder) const;
  void show_model(const HttpServerRequest& request, HttpResponder& responder) const;

  /// "chatcmpl-" and 24 letters and digits.
  std::string make_id(std::string_view prefix) const {
    constexpr std::string_view kLetters =
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    std::string id(prefix);
    for (int word = 0; word < 3; ++word) {
      uint64_t bits = parts_.random();
      for (int i = 0; i < 8; ++i, bits /= kLetters.size()) id += kLetters[bits % kLetters.size()];
    }
    return id;
  }

 private:
  AnswerHead make_head(std::string_view prefix, const CommonFields& common) const {
    AnswerHead head;
    head.id = make_id(prefix);
    head.model = common.model;
    head.created = std::chrono::system_clock::to_time_t(parts_.clock());
    head.stream = common.stream;
    head.include_usage = common.include_usage;
    return head;
  }

  OpenAiParts parts_;
};

/// No effort is what a model that does not reason makes anyway; its template has no switch for it.
void allow_no_effort(Model& model, std::vector<ModelCall>& calls) {
  if (model.facts().can_think) return;
  for (ModelCall& call : calls) std::get<ChatPrompt>(call.prompt).thinking.clear();
}

void Api::chat(const HttpServerRequest& http, HttpResponder& responder) const {
  ChatRequest request = read_chat_request(parse_body(http.body));
  AnswerHead head = make_head("chatcmpl-", request.common);
  head.warnings = std::move(request.warnings);
  AnswerPlan plan;
  for (uint32_t i = 0; i < request.common.n; ++i) {
    plan.calls.push_back(call_of_choice(request.common, i));
    plan.calls.back().prompt = request.prompt;
  }
  plan.stream = head.stream;
  plan.prompt_field = "messages";
  if (request.prompt.thinking == "false") plan.prepare = allow_no_effort;
  // The ids outlive the routes where an answer does.
  plan.shape = std::make_unique<ChatShape>(std::move(head), request.common.n,
                                           request.common.top_logprobs >= 0,
                                           [api = *this] { return api.make_id("call_"); });
  start_answering(parts_.models, std::move(plan), std::move(responder));
}

/// The texts of all prompts, as the answers begin with them.
void echo_prompts(CompletionShape& shape, Model& model,
                  const std::vector<std::variant<TextPrompt, TokenPrompt>>& prompts) {
  for (size_t i = 0; i < prompts.size(); ++i) {
    const auto* text = std::get_if<TextPrompt>(&prompts[i]);
    shape.echo(i, text != nullptr ? text->text
                                  : model.detokenize(std::get<TokenPrompt>(prompts[i]).tokens));
  }
}

void Api::complete(const HttpServerRequest& http, HttpResponder& responder) const {
  CompletionRequest request = read_completion_request(parse_body(http.body));
  const CommonFields& common = request.common;
  AnswerPlan plan;
  for (const auto& prompt : request.prompts) {
    for (uint32_t i = 0; i < common.n; ++i) {
      plan.calls.push_back(call_of_choice(common, i));
      std::visit([&](const auto& own) { plan.calls.back().prompt = own; }, prompt);
    }
  }
  plan.stream = common.stream;
  plan.prompt_field = "prompt";
  CompletionShapeOptions options;
  options.prompts = request.prompts.size();
  options.choices_per_prompt = common.n;
  options.top_logprobs = common.top_logprobs;
  auto shape = std::make_unique<CompletionShape>(make_head("cmpl-", common), options);
  if (request.echo) {
    plan.prepare = [shape = shape.get(), prompts = std::move(request.prompts)](
                       Model& model, std::vector<ModelCall>&) {
      echo_prompts(*shape, model, prompts);
    };
  }
  plan.shape = std::move(shape);
  start_answering(parts_.models, std::move(plan), std::move(responder));
}

json::object model_json(const StoredModel& model) {
  const ModelOrigin& origin = model.origin;
  const bool has_owner =
      origin.provider == ModelProvider::kHuggingFace || origin.provider == ModelProvider::kRegistry;
  const size_t slash = has_owner ? origin.repository.find('/') : std::string::npos;
  std::string_view owner = model.is_built_in() ? "ohmygpu" : "user";
  if (slash != std::string::npos) owner = std::string_view(origin.repository).substr(0, slash);
  return {{"id", model.name.str()},
          {"object", "model"},
          {"created", model.installed_at},
          {"owned_by", owner}};
}

void send_json(HttpResponder& responder, const json::object& body) {
  responder.send({200, "application/json", {}, json::serialize(body)});
}

void Api::list_models(HttpResponder& responder) const {
  json::array data;
  for (const ListedModel& listed : parts_.catalog.list(BuiltIn::kIfAlone)) {
    data.push_back(model_json(listed.model));
  }
  send_json(responder, {{"object", "list"}, {"data", std::move(data)}});
}

void Api::show_model(const HttpServerRequest& request, HttpResponder& responder) const {
  send_json(responder, model_json(parts_.catalog.find(std::string(request.parameter("id")))));
}

/// Runs a handler; what it throws is answered here, where errors still know their field.
template <typename Handler>
HttpHandler guarded(Handler handler) {
  return [handler = std::move(handler)](HttpServerRequest& request, HttpResponder& responder) {
    try {
      handler(request, responder);
    } catch (const Error& error) {
      if (responder) responder.send(error_answer(api_error(error)));
    }
  };
}

void refuse_embeddings(HttpResponder& responder) {
  ApiError error;
  error.status = 501;
  error.message =
      "embeddings are not served yet: this version's engine has no models for them; use "
      "/v1/chat/completions or /v1/completions";
  error.type = type_of_status(501);
  error.code = "not_implemented";
  responder.send(error_answer(error));
}

}  // namespace
}  // namespace openai

void add_openai_routes(HttpRouter& router, const OpenAiParts& parts) {
  using openai::guarded;
  const auto api = std::make_shared<const openai::Api>(parts);
  router.add("POST", "/v1/chat/completions",
             guarded([api](auto& request, auto& responder) { api->chat(request, responder); }));
  router.add("POST", "/v1/completions",
             guarded([api](auto& request, auto& responder) { api->complete(request, responder); }));
  router.add("POST", "/v1/embeddings",
             guarded([](auto&, auto& responder) { openai::refuse_embeddings(responder); }));
  router.add("GET", "/v1/models",
             guarded([api](auto&, auto& responder) { api->list_models(responder); }));
  router.add("GET", "/v1/models/*id", guarded([api](auto& request, auto& responder) {
               api->show_model(request, responder);
             }));
}

}  // namespace omg
