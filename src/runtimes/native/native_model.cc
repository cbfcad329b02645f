// SPDX-License-Identifier: Apache-2.0
//
// The life of a request until its first step: it waits for one of few threads that render, tokenise
// and compile grammars, so that neither the caller nor the batch waits for a long prompt, and goes
// to the batcher.
#include "runtimes/native/native_model.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include "engine/batch/batcher.h"
#include "engine/kv/prefix_tree.h"
#include "runtimes/native/answer_grammars.h"
#include "runtimes/native/prompt_maker.h"
#include "runtimes/native/running_answer.h"
#include "text/tools/probe.h"

namespace omg {
namespace {

using Clock = std::chrono::steady_clock;

/// A long prompt takes one of them for some hundred milliseconds; short ones pass it by.
constexpr size_t kPreparers = 2;

struct Asked {
  AnswerRequest request;
  AnswerSink sink;
  Clock::time_point time;
  std::shared_ptr<std::atomic<bool>> cancelled;

  bool is_cancelled() const {
    return cancelled->load(std::memory_order_relaxed) ||
           request.options.cancellation.is_cancelled();
  }
};

bool has_tool_calls(const json::array& messages) {
  return std::any_of(messages.begin(), messages.end(), [](const json::value& message) {
    return message.is_object() && message.get_object().contains("tool_calls");
  });
}

std::string device_name(const Engine& engine) {
  const uint32_t threads = engine.threads();
  return "CPU (" + std::string(isa_name(engine.isa())) + "), " + std::to_string(threads) +
         (threads == 1 ? " thread" : " threads");
}

}  // namespace

class NativeModel::Impl {
 public:
  explicit Impl(NativeModelParts parts);
  ~Impl();

  Canceller answer(AnswerRequest request, AnswerSink sink);
  ModelActivity activity() const;

  NativeModelParts parts_;
  std::optional<TemplateCapabilities> capabilities_;  // these two with a template
  std::optional<ToolFormat> format_;
  std::vector<TokenId> marker_tokens_;
  std::optional<PromptMaker> prompts_;
  std::optional<AnswerGrammars> grammars_;
  ModelFacts facts_;

 private:
  void probe_template();
  void set_up_facts();
  void prepare_all();
  void prepare(Asked& asked);
  void refuse(const Asked& asked, const Error& error) const;
  AnswerParsing parsing(const ChatPrompt& chat, std::string_view prompt) const;
  std::unique_ptr<AnswerConstraint> constraint(const AnswerRequest& request,
                                               std::string_view prompt);
  AnswerConstraintParts chat_constraint(const ChatPrompt& chat, const GenerateOptions& options,
                                        std::string_view prompt);
  Reasoning reasoning(const ChatPrompt& chat, std::string_view prompt) const;

  std::atomic<uint64_t> generated_{0};
  std::optional<Batcher> batcher_;

  mutable std::mutex mutex_;  // guards what stands from here
  std::condition_variable came_;
  std::deque<Asked> asked_;
  size_t preparing_ = 0;
  bool stopping_ = false;               // to here
  std::vector<std::thread> preparers_;  // last: they use the others
};

NativeModel::Impl::Impl(NativeModelParts parts) : parts_(std::move(parts)) {
  probe_template();
  PromptMakerParts maker;
  maker.tokenizer = parts_.tokenizer.get();
  if (parts_.chat_template) {
    maker.chat_template = &*parts_.chat_template;
    maker.capabilities = &*capabilities_;
  }
  maker.template_error = parts_.template_error;
  maker.default_template = parts_.default_template;
  maker.fill_in = find_fill_in_tokens(parts_.file->metadata(), *parts_.tokenizer);
  prompts_.emplace(std::move(maker));
  grammars_.emplace(*parts_.tokenizer, format_ ? &*format_ : nullptr);
  set_up_facts();
  BatcherOptions options;
  options.max_waiting = parts_.max_waiting;
  batcher_.emplace(*parts_.engine, options);
  for (size_t i = 0; i < kPreparers; ++i) preparers_.emplace_back([this] { prepare_all(); });
}

NativeModel::Impl::~Impl() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  came_.notify_all();
  for (std::thread& thread : preparers_) thread.join();
  batcher_.reset();  // ends what is under way
}

void NativeModel::Impl::probe_template() {
  if (!parts_.chat_template) return;
  const SpecialTokens& special = parts_.tokenizer->special_tokens();
  const auto text = [&](std::optional<TokenId> token) {
    return token ? std::string(parts_.tokenizer->token_text(*token)) : std::string();
  };
  capabilities_ = probe_capabilities(*parts_.chat_template, {text(special.bos), text(special.eos)});
  format_ = probe_tool_format(*parts_.chat_template, {text(special.bos), text(special.eos)});
  marker_tokens_ = marker_tokens(*format_, *parts_.tokenizer);
}

void NativeModel::Impl::set_up_facts() {
  const Engine& engine = *parts_.engine;
  const MemoryUse memory = engine.memory_use();
  facts_.family = engine.description().family;
  facts_.name = engine.description().name;
  facts_.kv_capacity_tokens = uint64_t{engine.free_kv_blocks()} * kKvBlockTokens;
  // One sequence alone must fit the cache, or it could never end.
  facts_.context_length =
      static_cast<uint32_t>(std::min<uint64_t>(engine.context_length(), facts_.kv_capacity_tokens));
  facts_.vocab_size = static_cast<uint32_t>(parts_.tokenizer->vocab_size());
  facts_.has_template = parts_.chat_template.has_value();
  facts_.can_use_tools = format_ && capabilities_->tools && format_->has_calls();
  facts_.can_think = format_ && (format_->has_reasoning() || capabilities_->thinking.has_value());
  facts_.can_fill_in = prompts_->can_fill_in();
  facts_.weights_bytes = memory.weights_bytes;
  facts_.kv_bytes = memory.kv_bytes;
  facts_.scratch_bytes = memory.scratch_bytes;
  facts_.device = device_name(engine);
  facts_.prefix_storage = engine.kv_storage_text();
  facts_.load_duration = parts_.load_duration;
}

Canceller NativeModel::Impl::answer(AnswerRequest request, AnswerSink sink) {
  Asked asked{std::move(request), std::move(sink), Clock::now(),
              std::make_shared<std::atomic<bool>>(false)};
  Canceller canceller = [flag = asked.cancelled] { flag->store(true, std::memory_order_relaxed); };
  const size_t behind = batcher_->stats().waiting;
  {
    const std::lock_guard lock(mutex_);
    if (asked_.size() + preparing_ + behind < parts_.max_waiting) {
      asked_.push_back(std::move(asked));
      came_.notify_one();
      return canceller;
    }
  }
  refuse(asked, Error(ErrorCode::kUnavailable, std::to_string(parts_.max_waiting) +
                                                   " requests are waiting already; try again "
                                                   "later"));
  return canceller;
}

void NativeModel::Impl::refuse(const Asked& asked, const Error& error) const {
  end_answer(asked.sink, &error, {}, asked.time);
}

/// What one of the threads does.
void NativeModel::Impl::prepare_all() {
  std::unique_lock lock(mutex_);
  while (true) {
    came_.wait(lock, [&] { return stopping_ || !asked_.empty(); });
    if (asked_.empty()) return;
    Asked asked = std::move(asked_.front());
    asked_.pop_front();
    ++preparing_;
    const bool ends = stopping_;
    lock.unlock();
    if (ends || asked.is_cancelled()) {
      AnswerResult result;
      result.finish_reason = FinishReason::kCancelled;
      end_answer(asked.sink, nullptr, std::move(result), asked.time);
    } else {
      prepare(asked);
    }
    lock.lock();
    --preparing_;
  }
}

void NativeModel::Impl::prepare(Asked& asked) {
  AnswerSink sink = asked.sink;
  std::optional<Error> error;
  try {
    const AnswerRequest& request = asked.request;
    validate(request.options);
    RunningAnswerParts parts;
    parts.context_length = facts_.context_length;
    if (const uint32_t own = request.options.context_length; own > 0) {
      parts.context_length = std::min(parts.context_length, own);
    }
    MadePrompt prompt = prompts_->make(request, parts.context_length);
    parts.tokenizer = parts_.tokenizer.get();
    parts.prompt = std::move(prompt.tokens);
    parts.constraint = constraint(request, prompt.chat);
    const auto* chat = std::get_if<ChatPrompt>(&request.prompt);
    if (chat != nullptr && chat->parse_output) parts.parsing = parsing(*chat, prompt.chat);
    parts.result.warnings = std::move(prompt.warnings);
    parts.result.cut_messages = prompt.cut_messages;
    parts.result.cut_tokens = prompt.cut_tokens;
    parts.asked = asked.time;
    parts.cancelled = asked.cancelled;
    parts.generated = &generated_;
    parts.options = std::move(asked.request.options);
    auto answer = std::make_shared<RunningAnswer>(std::move(parts), std::move(asked.sink));
    batcher_->submit(RunningAnswer::request(std::move(answer)));
    return;
  } catch (const Error& known) {
    error = known;
  } catch (const std::bad_alloc&) {
    error = Error(ErrorCode::kOutOfMemory, "there is not enough memory for this request");
  } catch (const std::exception& unknown) {
    error = Error(ErrorCode::kInternal, std::string("the request failed: ") + unknown.what());
  }
  end_answer(sink, &*error, {}, asked.time);
}

AnswerParsing NativeModel::Impl::parsing(const ChatPrompt& chat, std::string_view prompt) const {
  AnswerParsing parsing;
  parsing.format = &*format_;
  parsing.shown_tokens = marker_tokens_;
  const bool calls = chat.tool_use.choice != ToolUse::Choice::kNone;
  if (calls) parsing.options.tools = chat.tools;
  parsing.options.parse_calls = calls && (!chat.tools.empty() || has_tool_calls(chat.messages));
  parsing.options.starts_in_reasoning = opens_reasoning(*format_, prompt);
  parsing.one_call = !chat.tool_use.parallel;
  return parsing;
}

std::unique_ptr<AnswerConstraint> NativeModel::Impl::constraint(const AnswerRequest& request,
                                                                std::string_view prompt) {
  const AnswerFormat& format = request.options.format;
  const auto* chat = std::get_if<ChatPrompt>(&request.prompt);
  const bool must_call = chat != nullptr && chat->tool_use.choice == ToolUse::Choice::kRequired;
  if (format.kind == AnswerFormat::Kind::kFree && !must_call) return nullptr;
  AnswerConstraintParts parts;
  if (chat != nullptr) {
    parts = chat_constraint(*chat, request.options, prompt);
  } else {
    parts.answer = grammars_->of_format(format, GrammarPlace::kText);
  }
  return std::make_unique<AnswerConstraint>(*parts_.tokenizer, std::move(parts));
}

AnswerConstraintParts NativeModel::Impl::chat_constraint(const ChatPrompt& chat,
                                                         const GenerateOptions& options,
                                                         std::string_view prompt) {
  const AnswerFormat& format = options.format;
  const ToolUse& use = chat.tool_use;
  const bool must_call = use.choice == ToolUse::Choice::kRequired;
  const bool may_call = use.choice == ToolUse::Choice::kAuto && !chat.tools.empty();
  if (must_call && format.kind != AnswerFormat::Kind::kFree) {
    throw Error(ErrorCode::kInvalidArgument,
                "an answer cannot be a call of a tool and have a format too: ask for one of them");
  }
  const auto matcher = [&](GrammarPlace place) {
    if (must_call) return grammars_->of_calls(chat.tools, use, place);
    return may_call ? grammars_->of_format_or_calls(format, chat.tools, use, place)
                    : grammars_->of_format(format, place);
  };
  AnswerConstraintParts parts;
  parts.reasoning = reasoning(chat, prompt);
  parts.prompt_tail = format_->prompt_tail;
  if (parts.reasoning != Reasoning::kBegun) parts.answer = matcher(GrammarPlace::kAnswer);
  if (parts.reasoning == Reasoning::kNone) return parts;
  parts.after_reasoning = matcher(GrammarPlace::kAfterReasoning);
  parts.reasoning_end = format_->reasoning_end;
  if (parts.reasoning == Reasoning::kMay) parts.reasoning_begin = grammars_->of_reasoning_begin();
  return parts;
}

Reasoning NativeModel::Impl::reasoning(const ChatPrompt& chat, std::string_view prompt) const {
  if (!format_->has_reasoning()) return Reasoning::kNone;
  if (opens_reasoning(*format_, prompt)) return Reasoning::kBegun;
  if (format_->reasoning_begin.empty() || chat.thinking == "false") return Reasoning::kNone;
  // Where the prompt ends with reasoning that is over, it was switched off there.
  std::string_view end = prompt;
  while (!end.empty() && (end.back() == ' ' || end.back() == '\n')) end.remove_suffix(1);
  return end.ends_with(format_->reasoning_end) ? Reasoning::kNone : Reasoning::kMay;
}

ModelActivity NativeModel::Impl::activity() const {
  const BatcherStats stats = batcher_->stats();
  ModelActivity activity;
  activity.running = static_cast<uint32_t>(stats.running);
  activity.waiting = static_cast<uint32_t>(stats.waiting);
  activity.steps = stats.steps;
  activity.prompt_tokens = stats.prompt_tokens;
  activity.cached_tokens = stats.cached_tokens;
  activity.restored_tokens = stats.restored_tokens;
  activity.generated_tokens = generated_.load(std::memory_order_relaxed);
  activity.preemptions = stats.preemptions;
  activity.kv_free_tokens = uint64_t{stats.free_kv_blocks} * kKvBlockTokens;
  const std::lock_guard lock(mutex_);
  activity.waiting += static_cast<uint32_t>(asked_.size() + preparing_);
  return activity;
}

NativeModel::NativeModel(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
NativeModel::~NativeModel() = default;

std::unique_ptr<NativeModel> NativeModel::create(NativeModelParts parts) {
  return std::unique_ptr<NativeModel>(new NativeModel(std::make_unique<Impl>(std::move(parts))));
}

const ModelFacts& NativeModel::facts() const {
  return impl_->facts_;
}
Canceller NativeModel::answer(AnswerRequest request, AnswerSink sink) {
  return impl_->answer(std::move(request), std::move(sink));
}
RenderedChat NativeModel::render(const ChatPrompt& prompt) {
  return impl_->prompts_->render(prompt);
}
ModelActivity NativeModel::activity() const {
  return impl_->activity();
}
const ModelFile& NativeModel::file() const {
  return *impl_->parts_.file;
}
const Tokenizer& NativeModel::tokenizer() const {
  return *impl_->parts_.tokenizer;
}
const ChatTemplate* NativeModel::chat_template() const {
  return impl_->parts_.chat_template ? &*impl_->parts_.chat_template : nullptr;
}
const TemplateCapabilities* NativeModel::capabilities() const {
  return impl_->capabilities_ ? &*impl_->capabilities_ : nullptr;
}
const ToolFormat* NativeModel::tool_format() const {
  return impl_->format_ ? &*impl_->format_ : nullptr;
}
Engine& NativeModel::engine() {
  return *impl_->parts_.engine;
}

std::vector<int32_t> NativeModel::tokenize(std::string_view text, const TokenizeOptions& options) {
  return tokenizer().encode(
      text, {.add_special = options.add_special, .parse_special = options.parse_special});
}

std::string NativeModel::detokenize(std::span<const int32_t> tokens) {
  return tokenizer().decode(tokens, /*show_special=*/true);
}

}  // namespace omg
