// SPDX-License-Identifier: Apache-2.0
//
// /api/generate and /api/chat: a request becomes a ModelCall, and nobody waits for its answer.
#include <algorithm>
#include <fmt/format.h>
#include <limits>

#include "daemon/ollama/answer_writer.h"
#include "daemon/ollama/go_fields.h"
#include "daemon/ollama/go_text.h"
#include "daemon/ollama/routes.h"

namespace omg::ollama {
namespace {

using Parts = std::shared_ptr<const OllamaParts>;

/// What both routes read from a request.
struct Asked {
  std::string name;  // as the client wrote it
  StoredModel model{StoreName("?")};
  ModelCall call;
  AnswerShape shape;
  std::optional<std::string> think;
  bool debug_render = false;
};

constexpr std::string_view kGenerateFields[] = {
    "model",  "prompt",   "suffix", "system",   "template",     "context",
    "stream", "raw",      "format", "images",   "options",      "keep_alive",
    "think",  "truncate", "shift",  "logprobs", "top_logprobs", "_debug_render_only"};
constexpr std::string_view kChatFields[] = {
    "model", "messages", "tools",    "stream",   "format",       "options",           "keep_alive",
    "think", "shift",    "truncate", "logprobs", "top_logprobs", "_debug_render_only"};

std::string lower(std::string text) {
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return text;
}

/// Fields that mean the same in both routes.
Asked read_common(const OllamaParts& parts, const GoFields& fields, bool is_chat) {
  Asked asked;
  asked.shape.began = std::chrono::steady_clock::now();
  asked.shape.clock = parts.clock;
  asked.shape.is_chat = is_chat;
  asked.name = fields.text("model");
  if (asked.name.empty() && is_chat) throw HttpRefusal(400, "model is required");
  asked.shape.model = asked.name;
  asked.shape.streams = fields.boolean("stream").value_or(true);
  asked.call.top_logprobs = parse_logprobs(fields, asked.shape.warnings);
  asked.call.format = parse_format(fields);
  asked.call.keep_alive = parse_keep_alive(fields);
  asked.think = parse_think(fields);
  asked.call.cut_prompt = fields.boolean("truncate").value_or(true);
  asked.call.shift_context = fields.boolean("shift").value_or(true);
  asked.debug_render = fields.boolean("_debug_render_only").value_or(false);
  asked.model =
      find_model(parts.catalog, asked.name, fmt::format("model '{}' not found", asked.name));
  asked.call.model = asked.model.name.str();
  ParsedOptions options = parse_options(fields);
  asked.call.parameters = std::move(options.parameters);
  std::vector<std::string>& warnings = asked.shape.warnings;
  warnings.insert(warnings.end(), options.warnings.begin(), options.warnings.end());
  const std::vector<std::string> unknown =
      is_chat ? fields.unknown(kChatFields) : fields.unknown(kGenerateFields);
  warnings.insert(warnings.end(), unknown.begin(), unknown.end());
  return asked;
}

void refuse_images(const GoFields& fields, const std::string& model) {
  const json::array* images = fields.array("images");
  if (images == nullptr || images->empty()) return;
  throw HttpRefusal(400, fmt::format("\"{}\" does not support images: this engine reads text so "
                                     "far; send the request without images",
                                     model));
}

/// `think` as the model can take it. Where it was not said, models think that can.
std::string thinking_of(const Asked& asked, const ModelAbilities& abilities,
                        std::vector<std::string>& warnings) {
  using Switch = ModelAbilities::Switch;
  if (!asked.think) return abilities.thinking_switch == Switch::kYes ? "true" : "";
  if (!abilities.think && abilities.thinking_switch != Switch::kYes) {
    if (*asked.think == "false") return "";
    throw HttpRefusal(400, fmt::format("\"{}\" does not support thinking", asked.name));
  }
  if (abilities.thinking_switch != Switch::kNo) return *asked.think;
  if (*asked.think != "true") {
    warnings.push_back(
        fmt::format("think: {} had no effect: this model always thinks, as it is "
                    "used to",
                    *asked.think));
  }
  return "";
}

/// The client that left ends what it asked for.
std::shared_ptr<AnswerWriter> make_writer(HttpResponder& responder, Asked& asked,
                                          std::shared_ptr<OutgoingStream>& out) {
  out = OutgoingStream::create(std::move(responder));
  return std::make_shared<AnswerWriter>(out, std::move(asked.shape));
}

void load(const Parts& parts, Asked& asked, HttpResponder& responder) {
  std::shared_ptr<OutgoingStream> out;
  const auto writer = make_writer(responder, asked, out);
  out->on_gone(parts->service.load(
      asked.call.model, asked.call.keep_alive,
      [writer, name = asked.name](const Error* error, std::chrono::nanoseconds) {
        if (error == nullptr) return writer->end_without_answer("load");
        const ErrorReply reply = reply_of(*error, name);
        writer->fail(reply.status, reply.text);
      }));
}

void unload(const Parts& parts, Asked& asked, HttpResponder& responder) {
  parts->service.unload(asked.call.model);
  std::shared_ptr<OutgoingStream> out;
  make_writer(responder, asked, out)->end_without_answer("unload");
}

/// Nothing is to be generated.
void load_or_unload(const Parts& parts, Asked& asked, HttpResponder& responder) {
  if (asked.call.keep_alive == KeepAlive(0)) {
    unload(parts, asked, responder);
  } else {
    load(parts, asked, responder);
  }
}

/// The system message that the settings or the request bring stands where lifecycle puts it.
ChatPrompt with_system(const Asked& asked, const ChatPrompt& prompt) {
  ChatPrompt whole = prompt;
  const std::optional<std::string>& system =
      asked.call.system ? asked.call.system : asked.model.settings.system;
  const bool has_own = !whole.messages.empty() && whole.messages.front().at("role") == "system";
  json::array before;
  if (system && !system->empty() && !has_own) {
    before.push_back({{"role", "system"}, {"content", *system}});
  }
  whole.messages.insert(whole.messages.begin(), before.begin(), before.end());
  return whole;
}

void render_only(const Parts& parts, Asked& asked, HttpResponder& responder) {
  std::shared_ptr<OutgoingStream> out;
  if (const auto* text = std::get_if<TextPrompt>(&asked.call.prompt)) {
    make_writer(responder, asked, out)->end_with_prompt(text->text);
    return;
  }
  const ChatPrompt prompt = with_system(asked, std::get<ChatPrompt>(asked.call.prompt));
  const auto writer = make_writer(responder, asked, out);
  out->on_gone(parts->service.with_model(
      asked.call.model, [writer, prompt, name = asked.name](const Error* error, Model* model) {
        try {
          if (error != nullptr) throw *error;
          writer->end_with_prompt(model->render(prompt).prompt);
        } catch (const Error& problem) {
          const ErrorReply reply = reply_of(problem, name);
          writer->fail(reply.status, reply.text);
        }
      }));
}

void answer(const Parts& parts, Asked& asked, HttpResponder& responder) {
  if (asked.debug_render) return render_only(parts, asked, responder);
  std::shared_ptr<OutgoingStream> out;
  const auto writer = make_writer(responder, asked, out);
  out->on_gone(parts->service.answer(std::move(asked.call), AnswerWriter::sink(writer)));
}

// /api/generate

std::vector<int32_t> context_of(const GoFields& fields) {
  std::vector<int32_t> tokens;
  const json::array* array = fields.array("context");
  if (array == nullptr) return tokens;
  for (const json::value& token : *array) {
    if (!token.is_int64()) fields.wrong_type("context", token, "int");
    const int64_t id = token.get_int64();
    if (id < 0 || id > std::numeric_limits<int32_t>::max()) {
      throw HttpRefusal(400, fmt::format("context has {}, which is no token", id));
    }
    tokens.push_back(static_cast<int32_t>(id));
  }
  return tokens;
}

/// How the prompt goes to the model: as a chat's turn, or as it is.
void set_prompt(const GoFields& fields, const ModelAbilities& abilities,
                const std::string& thinking, Asked& asked) {
  const std::string prompt = fields.text("prompt");
  const std::string suffix = fields.text("suffix");
  const std::string system = fields.text("system");
  const bool raw = fields.boolean("raw").value_or(false);
  asked.call.return_tokens = asked.shape.wants_context = !raw;
  if (raw || !suffix.empty() || !abilities.has_template) {
    TextPrompt text;
    text.text = prompt;
    if (!suffix.empty()) text.suffix = suffix;
    if (!system.empty()) {
      asked.shape.warnings.emplace_back(
          suffix.empty() ? "system had no effect: the model has no chat template"
                         : "system had no effect: with a suffix only what stands round the gap "
                           "goes to the model");
    }
    asked.shape.is_parsed = false;
    asked.call.prompt = std::move(text);
    return;
  }
  ChatPrompt chat;
  chat.messages.push_back({{"role", "user"}, {"content", prompt}});
  chat.thinking = thinking;
  if (!system.empty()) asked.call.system = system;
  asked.call.prompt = std::move(chat);
}

void generate(const Parts& parts, const HttpServerRequest& request, HttpResponder& responder) {
  const json::object body = parse_go_body(request.body, "GenerateRequest");
  const GoFields fields(body, "GenerateRequest");
  Asked asked = read_common(*parts, fields, false);
  asked.call.context = context_of(fields);
  const std::string suffix = fields.text("suffix");
  const std::string given_template = fields.text("template");
  if (fields.boolean("raw").value_or(false) &&
      (!given_template.empty() || !fields.text("system").empty() || !asked.call.context.empty())) {
    throw HttpRefusal(400, "raw mode does not support template, system, or context");
  }
  if (!given_template.empty()) {
    throw HttpRefusal(400,
                      "a template cannot be given with a request here: this engine runs the "
                      "model's own chat template; leave template out, or set raw and send the "
                      "prompt as it should be");
  }
  refuse_images(fields, asked.name);
  if (fields.text("prompt").empty()) {
    return load_or_unload(parts, asked, responder);
  }
  // 0 is the same as nothing here, and only here.
  if (asked.call.parameters.max_tokens == 0) asked.call.parameters.max_tokens = -1;
  const ModelAbilities abilities = abilities_of(*parts, asked.model);
  if (!abilities.complete) {
    throw HttpRefusal(400, fmt::format("\"{}\" does not support generate", asked.name));
  }
  if (!suffix.empty() && !abilities.fill_in) {
    throw HttpRefusal(400, full_name(asked.call.model) + " does not support insert");
  }
  const std::string thinking = thinking_of(asked, abilities, asked.shape.warnings);
  set_prompt(fields, abilities, thinking, asked);
  answer(parts, asked, responder);
}

// /api/chat

json::array calls_of(const GoFields& message) {
  json::array calls;
  const json::array* given = message.array("tool_calls");
  if (given == nullptr) return calls;
  for (const json::value& value : *given) {
    if (!value.is_object()) message.wrong_type("tool_calls", value, "api.ToolCall");
    const GoFields call(value.get_object(), "ToolCall");
    json::object converted_function = {{"name", ""}, {"arguments", json::object()}};
    if (const json::object* object = call.object("function")) {
      const GoFields function(*object, "ToolCallFunction");
      converted_function["name"] = function.text("name");
      if (const json::object* arguments = function.object("arguments")) {
        converted_function["arguments"] = *arguments;
      }
    }
    json::object converted = {{"type", "function"}, {"function", std::move(converted_function)}};
    std::string id = call.text("id");
    if (id.empty()) id = fmt::format("call_{}", calls.size());
    converted["id"] = std::move(id);
    calls.emplace_back(std::move(converted));
  }
  return calls;
}

/// Which call a tool's message answers, where it does not say so by id: of those of the last turn,
/// the first of its name that has no answer yet, else the first without one.
class OpenCalls {
 public:
  void replace(const json::array& calls) {
    calls_.clear();
    for (const json::value& call : calls) {
      calls_.push_back({text(call.at("id")), text(call.at("function").at("name"))});
    }
  }
  std::string take(const std::string& name) {
    auto found = std::find_if(calls_.begin(), calls_.end(),
                              [&](const Call& call) { return call.name == name; });
    if (found == calls_.end()) found = calls_.begin();
    if (found == calls_.end()) return "";
    const std::string id = found->id;
    calls_.erase(found);
    return id;
  }
  void answered(const std::string& id) {
    std::erase_if(calls_, [&](const Call& call) { return call.id == id; });
  }

 private:
  struct Call {
    std::string id;
    std::string name;
  };
  static std::string text(const json::value& value) {
    return std::string(std::string_view(value.get_string()));
  }
  std::vector<Call> calls_;
};

/// A message as the OpenAI API has it.
json::object convert_message(const GoFields& message, const std::string& model, OpenCalls& open) {
  refuse_images(message, model);
  json::object converted;
  const std::string role = lower(message.text("role"));
  converted["role"] = role;
  converted["content"] = message.text("content");
  if (std::string thinking = message.text("thinking"); !thinking.empty()) {
    converted["reasoning_content"] = std::move(thinking);
  }
  if (json::array calls = calls_of(message); !calls.empty()) {
    open.replace(calls);
    converted["tool_calls"] = std::move(calls);
  }
  if (role != "tool") return converted;
  const std::string name = message.text("tool_name");
  std::string id = message.text("tool_call_id");
  if (id.empty()) {
    id = open.take(name);
  } else {
    open.answered(id);
  }
  if (!name.empty()) converted["name"] = name;
  if (!id.empty()) converted["tool_call_id"] = id;
  return converted;
}

json::array messages_of(const GoFields& fields, const std::string& model) {
  json::array messages;
  OpenCalls open;
  const json::array* given = fields.array("messages");
  if (given == nullptr) return messages;
  for (const json::value& value : *given) {
    if (!value.is_object()) fields.wrong_type("messages", value, "api.Message");
    messages.emplace_back(convert_message(GoFields(value.get_object(), "Message"), model, open));
  }
  return messages;
}

/// Tools as the OpenAI API has them; parameters are passed on as they are.
json::array tools_of(const GoFields& fields) {
  json::array tools;
  const json::array* given = fields.array("tools");
  if (given == nullptr) return tools;
  for (const json::value& value : *given) {
    if (!value.is_object()) fields.wrong_type("tools", value, "api.Tool");
    const GoFields tool(value.get_object(), "Tool");
    const json::object* function_object = tool.object("function");
    if (function_object == nullptr) {
      throw HttpRefusal(400, "a tool has no function; give its name and parameters there");
    }
    const GoFields function(*function_object, "ToolFunction");
    json::object converted = {{"name", function.text("name")}};
    if (converted["name"].get_string().empty()) {
      throw HttpRefusal(400, "a tool's function has no name");
    }
    if (std::string text = function.text("description"); !text.empty()) {
      converted["description"] = std::move(text);
    }
    if (const json::object* parameters = function.object("parameters")) {
      converted["parameters"] = *parameters;
    }
    const std::string type = tool.text("type");
    tools.push_back(
        {{"type", type.empty() ? "function" : type}, {"function", std::move(converted)}});
  }
  return tools;
}

void chat(const Parts& parts, const HttpServerRequest& request, HttpResponder& responder) {
  const json::object body = parse_go_body(request.body, "ChatRequest");
  const GoFields fields(body, "ChatRequest");
  Asked asked = read_common(*parts, fields, true);
  ChatPrompt prompt;
  prompt.messages = messages_of(fields, asked.name);
  prompt.tools = tools_of(fields);
  if (prompt.messages.empty()) {
    return load_or_unload(parts, asked, responder);
  }
  const ModelAbilities abilities = abilities_of(*parts, asked.model);
  if (!abilities.complete) {
    throw HttpRefusal(400, fmt::format("\"{}\" does not support chat", asked.name));
  }
  if (!abilities.has_template) {
    throw HttpRefusal(400, fmt::format("\"{}\" does not support chat: it has no chat template; "
                                       "use /api/generate, or create a model with a template",
                                       asked.name));
  }
  if (!prompt.tools.empty() && !abilities.use_tools) {
    throw HttpRefusal(400, full_name(asked.call.model) + " does not support tools");
  }
  prompt.thinking = thinking_of(asked, abilities, asked.shape.warnings);
  asked.call.prompt = std::move(prompt);
  answer(parts, asked, responder);
}

}  // namespace

void add_answer_routes(HttpRouter& router, std::shared_ptr<const OllamaParts> parts) {
  router.add("POST", "/api/generate",
             guarded([parts](HttpServerRequest& request, HttpResponder& responder) {
               generate(parts, request, responder);
             }));
  router.add("POST", "/api/chat",
             guarded([parts](HttpServerRequest& request, HttpResponder& responder) {
               chat(parts, request, responder);
             }));
}

}  // namespace omg::ollama
