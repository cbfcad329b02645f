// SPDX-License-Identifier: Apache-2.0
//
// /api/pull, /api/push and /api/create: requests become jobs, which others may follow too.
#include <algorithm>
#include <fmt/format.h>
#include <memory>
#include <utility>

#include "daemon/ollama/go_fields.h"
#include "daemon/ollama/go_text.h"
#include "daemon/ollama/job_stream.h"
#include "daemon/ollama/routes.h"
#include "daemon/requests/model_settings.h"

namespace omg::ollama {
namespace {

struct JobRoutes {
  std::shared_ptr<const OllamaParts> parts;
  std::shared_ptr<JobStreams> streams;
};

bool wants_stream(const GoFields& fields) {
  return fields.boolean("stream").value_or(true);
}

/// What a request wants of a job.
struct Wanted {
  const char* kind;
  const char* first;  // status that comes before all others; "" for none
  bool streams = true;
  std::vector<std::string> warnings = {};
};

/// Starts the job with the responder still in hand, so that what is wrong has its status. As in
/// Ollama it is cancelled when the last client that waits for it has left.
template <typename Start>
void run_job(const JobRoutes& routes, Wanted wanted, HttpResponder& responder, Start start) {
  std::unique_ptr<JobService::Hold> hold;
  const std::string job = start(&hold).id;
  const auto out = OutgoingStream::create(std::move(responder));
  const auto stream =
      std::make_shared<JobStream>(out, wanted.streams, wanted.kind, std::move(wanted.warnings));
  stream->keep(std::move(hold));
  if (*wanted.first != 0) stream->say(wanted.first);
  routes.streams->follow(job, out, stream);
}

/// What never becomes a job fails as one, as Ollama has it.
void fail_like_job(HttpResponder& responder, bool streams,
                   std::initializer_list<std::string_view> statuses, std::string_view error) {
  JobStream stream(OutgoingStream::create(std::move(responder)), streams, "");
  for (const std::string_view status : statuses) stream.say(status);
  stream.fail(error);
}

void pull(const JobRoutes& routes, const HttpServerRequest& request, HttpResponder& responder) {
  const json::object body = parse_go_body(request.body, "PullRequest");
  const GoFields fields(body, "PullRequest");
  PullCall call;
  call.model = model_field(fields);
  call.insecure = fields.boolean("insecure").value_or(false);
  fields.text("username");
  fields.text("password");
  if (!may_be_name(call.model)) throw HttpRefusal(400, "invalid model name");
  const bool streams = wants_stream(fields);
  try {
    run_job(routes, {"pull", "pulling manifest", streams}, responder,
            [&](auto* hold) { return routes.parts->jobs.start_pull(call, hold); });
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kNotFound || !responder) throw;
    fail_like_job(responder, streams, {"pulling manifest"},
                  "pull model manifest: file does not exist");
  }
}

void push(const JobRoutes& routes, const HttpServerRequest& request, HttpResponder& responder) {
  const json::object body = parse_go_body(request.body, "PushRequest");
  const GoFields fields(body, "PushRequest");
  const std::string name = model_field(fields);
  const bool insecure = fields.boolean("insecure").value_or(false);
  fields.text("username");
  fields.text("password");
  const bool streams = wants_stream(fields);
  if (name.empty()) throw HttpRefusal(400, "model is required");
  if (!may_be_name(name)) throw HttpRefusal(400, "invalid model name");
  std::string found;
  try {
    found = find_model(routes.parts->catalog, name, "").name.str();
  } catch (const HttpRefusal& refusal) {
    if (refusal.status() != 404) throw;
    return fail_like_job(responder, streams, {"retrieving manifest", "couldn't retrieve manifest"},
                         fmt::format("open {}: no such file or directory", full_name(name)));
  }
  run_job(routes, {"push", "retrieving manifest", streams}, responder,
          [&](auto* hold) { return routes.parts->jobs.start_push(found, insecure, hold); });
}

std::map<std::string, std::string> digests_of(const GoFields& fields, std::string_view name) {
  std::map<std::string, std::string> digests;
  const json::object* given = fields.object(name);
  if (given == nullptr) return digests;
  for (const auto& [key, value] : *given) {
    const json::string* text = value.if_string();
    const std::string path(std::string_view(key.data(), key.size()));
    const auto digest = text ? Digest::parse(std::string_view(*text)) : std::nullopt;
    if (!digest)
      throw HttpRefusal(400, fmt::format("invalid digest format of {}", go_quoted(path)));
    digests.emplace(path, digest->str());
  }
  return digests;
}

std::vector<ModelMessage> messages_of(const GoFields& fields) {
  std::vector<ModelMessage> messages;
  const json::array* given = fields.array("messages");
  if (given == nullptr) return messages;
  for (const json::value& value : *given) {
    if (!value.is_object()) fields.wrong_type("messages", value, "api.Message");
    const GoFields message(value.get_object(), "Message");
    messages.push_back({message.text("role"), message.text("content")});
  }
  return messages;
}

ModelSettings settings_of(const GoFields& fields) {
  ModelSettings settings;
  if (std::string text = fields.text("template"); !text.empty()) {
    settings.template_syntax = template_syntax_of(text);
    settings.chat_template = std::move(text);
  }
  if (std::string text = fields.text("system"); !text.empty()) settings.system = std::move(text);
  if (const json::object* parameters = fields.object("parameters")) {
    settings.parameters = checked_model_parameters(*parameters);
  }
  settings.messages = messages_of(fields);
  const std::vector<std::string> licenses = fields.texts("license");
  for (const std::string& license : licenses) {
    if (!settings.license_text) {
      settings.license_text = license;
    } else {
      *settings.license_text += "\n" + license;
    }
  }
  return settings;
}

/// Fields that say something of Ollama's own engine, or of machines elsewhere: a request that
/// depends on one would give another model than was asked for.
void refuse_unsupported(const GoFields& fields) {
  for (const char* name : {"draft_files", "draft_quantize", "remote_host"}) {
    const json::value* value = fields.find(name);
    const bool is_empty = value == nullptr || (value->is_string() && value->get_string().empty()) ||
                          (value->is_object() && value->get_object().empty());
    if (!is_empty) {
      throw HttpRefusal(400, fmt::format("{} is not supported here: leave it out", name));
    }
  }
}

/// Fields that are Ollama's way to what is found out here by asking the template.
std::vector<std::string> unused_fields(const GoFields& fields) {
  std::vector<std::string> warnings;
  for (const char* name : {"renderer", "parser", "requires", "info"}) {
    const json::value* value = fields.find(name);
    if (value == nullptr || (value->is_string() && value->get_string().empty())) continue;
    warnings.push_back(fmt::format("{} had no effect: it belongs to another engine", name));
  }
  return warnings;
}

void create(const JobRoutes& routes, const HttpServerRequest& request, HttpResponder& responder) {
  const json::object body = parse_go_body(request.body, "CreateRequest");
  const GoFields fields(body, "CreateRequest");
  CreateCall call;
  call.name = model_field(fields);
  if (!may_be_name(call.name)) throw HttpRefusal(400, "invalid model name");
  call.from = fields.text("from");
  call.files = digests_of(fields, "files");
  call.adapters = digests_of(fields, "adapters");
  call.quantize = fields.text("quantize");
  if (call.quantize.empty()) call.quantize = fields.text("quantization");
  refuse_unsupported(fields);
  if (call.from.empty() && call.files.empty()) {
    throw HttpRefusal(400, "neither 'from' or 'files' was specified");
  }
  if (!call.from.empty() && !may_be_name(call.from)) throw HttpRefusal(400, "invalid model name");
  call.settings = settings_of(fields);
  run_job(routes, {"create", "", wants_stream(fields), unused_fields(fields)}, responder,
          [&](auto* hold) { return routes.parts->jobs.start_create(call, hold); });
}

}  // namespace

void add_job_routes(HttpRouter& router, std::shared_ptr<const OllamaParts> parts) {
  const JobRoutes routes{parts, std::make_shared<JobStreams>(parts->jobs)};
  router.add("POST", "/api/pull",
             guarded([routes](HttpServerRequest& request, HttpResponder& responder) {
               pull(routes, request, responder);
             }));
  router.add("POST", "/api/push",
             guarded([routes](HttpServerRequest& request, HttpResponder& responder) {
               push(routes, request, responder);
             }));
  router.add("POST", "/api/create",
             guarded([routes](HttpServerRequest& request, HttpResponder& responder) {
               create(routes, request, responder);
             }));
}

}  // namespace omg::ollama
