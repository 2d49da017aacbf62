//===- TokenizerReader.cpp - Reads tokenizer.json -------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every value is fetched through a Field, which knows its path in the file, so
// that each error names what it is about.
//
//===----------------------------------------------------------------------===//

#include "runtime/io/Json.h"
#include "runtime/io/Utf8.h"
#include "runtime/support/File.h"
#include "runtime/text/ByteAlphabet.h"
#include "runtime/text/TokenizerImpl.h"

#include <algorithm>
#include <array>

using namespace moe;
using nlohmann::json;

namespace {

constexpr uint64_t kMaxFileBytes = 64 << 20;
constexpr TokenId kMaxTokenId = (1 << 24) - 1;
constexpr size_t kMaxSteps = 64;

// What ByteLevel cuts at (GPT-2, encoder.py).
constexpr std::string_view kByteLevelPattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

constexpr std::array kEndTokenNames = {
    "<|endoftext|>",
    "</s>",
    "<|end_of_text|>",
    "<|eot_id|>",
    "<|im_end|>",
    "<|eot|>",
    "<|return|>",
    "<|end|>",
    "<eos>",
    "<end_of_turn>",
    "<|eom_id|>",
    "[EOS]",
    "<|endofprompt|>",
    "<\xef\xbd\x9c"
    "end\xe2\x96\x81of\xe2\x96\x81sentence\xef\xbd\x9c>",
};

bool isTokenId(const json &value) {
  return value.is_number_integer() && value >= 0 && value <= kMaxTokenId;
}

/// A value of the file and where it stands: "model.merges[3]".
class Field {
public:
  Field(const json &value, std::string path)
      : value(value), path(std::move(path)) {}

  const json &operator*() const { return value; }
  bool isNull() const { return value.is_null(); }
  bool isArray() const { return value.is_array(); }
  bool isString() const { return value.is_string(); }

  /// A member; null if it is absent.
  Field member(const std::string &name) const {
    static const json null;
    std::string memberPath = path.empty() ? name : path + "." + name;
    auto it = value.is_object() ? value.find(name) : value.end();
    return {it == value.end() ? null : *it, std::move(memberPath)};
  }
  Field element(size_t index) const {
    return {value[index], path + "[" + std::to_string(index) + "]"};
  }

  Status bad(std::string_view what) const {
    return Status(StatusCode::BadModel, path + " " + std::string(what));
  }
  Status unsupported(std::string_view expected) const {
    return Status(StatusCode::Unsupported,
                  path + " is " + printableUtf8(jsonText(value).substr(0, 60)) +
                      ", which is not supported; expected " +
                      std::string(expected));
  }

  StatusOr<std::string> text() const {
    if (!value.is_string())
      return bad("is not a string");
    return value.get<std::string>();
  }
  StatusOr<bool> flag(bool absent) const {
    if (value.is_null())
      return absent;
    if (!value.is_boolean())
      return bad("is neither true nor false");
    return value.get<bool>();
  }
  StatusOr<TokenId> tokenId() const {
    if (!isTokenId(value))
      return bad("is not a token id of 0 to " + std::to_string(kMaxTokenId));
    return value.get<TokenId>();
  }
  /// The elements of an array; null is an empty one.
  StatusOr<std::vector<Field>> elements() const {
    std::vector<Field> fields;
    if (value.is_null())
      return fields;
    if (!value.is_array())
      return bad("is not a list");
    for (size_t i = 0; i < value.size(); ++i)
      fields.push_back(element(i));
    return fields;
  }

private:
  const json &value;
  std::string path;
};

} // namespace

namespace moe {

class TokenizerReader {
public:
  StatusOr<Tokenizer> read(const json &root);

private:
  Status readNormalizer(const Field &field);
  Status readPreTokenizer(const Field &field);
  Status readSplit(const Field &field);
  Status readModel(const Field &field);
  Status readVocabulary(const Field &field);
  Status readMerges(const Field &field);
  Status readUnknown(const Field &model);
  Status readAddedTokens(const Field &field);
  Status readPostProcessor(const Field &field);
  Status readTemplate(const Field &field);
  Status readDecoder(const Field &field);

  Status addStep(const Field &field, bool addPrefixSpace,
                 std::string_view pattern, SplitBehavior behavior, bool invert);
  void addId(TokenId id) {
    out->vocabularySize = std::max(out->vocabularySize, id + 1);
  }

  std::shared_ptr<Tokenizer::Impl> out = std::make_shared<Tokenizer::Impl>();
  bool hasByteLevel = false;
  bool hasTemplate = false;
};

} // namespace moe

StatusOr<Tokenizer> TokenizerReader::read(const json &root) {
  Field file(root, "");
  if (!root.is_object())
    return Status(StatusCode::BadModel, "is not a JSON object");
  MOE_RETURN_IF_ERROR(readModel(file.member("model")));
  MOE_RETURN_IF_ERROR(readAddedTokens(file.member("added_tokens")));
  MOE_RETURN_IF_ERROR(readNormalizer(file.member("normalizer")));
  MOE_RETURN_IF_ERROR(readPreTokenizer(file.member("pre_tokenizer")));
  if (!hasByteLevel)
    return file.member("pre_tokenizer").unsupported("one with ByteLevel");
  MOE_RETURN_IF_ERROR(readPostProcessor(file.member("post_processor")));
  MOE_RETURN_IF_ERROR(readDecoder(file.member("decoder")));
  return Tokenizer(out);
}

Status TokenizerReader::readNormalizer(const Field &field) {
  if (field.isNull())
    return Status::ok();
  MOE_ASSIGN_OR_RETURN(std::string type, field.member("type").text());
  if (type == "NFC") {
    out->requiresNfc = true;
    return Status::ok();
  }
  if (type != "Sequence")
    return field.unsupported("null or NFC");
  MOE_ASSIGN_OR_RETURN(std::vector<Field> parts,
                       field.member("normalizers").elements());
  for (const Field &part : parts)
    MOE_RETURN_IF_ERROR(readNormalizer(part));
  return Status::ok();
}

Status TokenizerReader::addStep(const Field &field, bool addPrefixSpace,
                                std::string_view pattern,
                                SplitBehavior behavior, bool invert) {
  if (out->steps.size() == kMaxSteps)
    return field.bad("has more than " + std::to_string(kMaxSteps) + " parts");
  PreTokenizerStep step;
  step.addPrefixSpace = addPrefixSpace;
  if (!pattern.empty()) {
    StatusOr<Regex> regex = Regex::compile(pattern);
    if (!regex.isOk())
      return field.bad("has a " + regex.status().message());
    step.splitter.emplace(*std::move(regex), behavior, invert);
  }
  out->steps.push_back(std::move(step));
  return Status::ok();
}

Status TokenizerReader::readPreTokenizer(const Field &field) {
  if (field.isNull())
    return Status::ok();
  MOE_ASSIGN_OR_RETURN(std::string type, field.member("type").text());
  // After ByteLevel the text is in the byte alphabet, where other patterns
  // would mean other things.
  if (hasByteLevel)
    return field.unsupported("nothing behind ByteLevel");
  if (type == "Sequence") {
    MOE_ASSIGN_OR_RETURN(std::vector<Field> parts,
                         field.member("pretokenizers").elements());
    for (const Field &part : parts)
      MOE_RETURN_IF_ERROR(readPreTokenizer(part));
    return Status::ok();
  }
  if (type == "ByteLevel") {
    hasByteLevel = true;
    MOE_ASSIGN_OR_RETURN(bool addPrefixSpace,
                         field.member("add_prefix_space").flag(true));
    MOE_ASSIGN_OR_RETURN(bool useRegex, field.member("use_regex").flag(true));
    return addStep(field, addPrefixSpace, useRegex ? kByteLevelPattern : "",
                   SplitBehavior::Isolated, false);
  }
  if (type == "Digits") {
    MOE_ASSIGN_OR_RETURN(bool single,
                         field.member("individual_digits").flag(false));
    return addStep(field, false, single ? "\\p{N}" : "\\p{N}+",
                   SplitBehavior::Isolated, false);
  }
  if (type == "Split")
    return readSplit(field);
  return field.unsupported("ByteLevel, Split, Digits or Sequence");
}

Status TokenizerReader::readSplit(const Field &field) {
  Field pattern = field.member("pattern");
  Field regex = pattern.member("Regex"), string = pattern.member("String");
  std::string text;
  if (regex.isString()) {
    text = (*regex).get<std::string>();
  } else if (string.isString()) {
    for (char c : (*string).get<std::string>())
      text += std::string(c >= 0 && !std::isalnum(c) ? "\\" : "") + c;
  } else {
    return pattern.bad("has neither a Regex nor a String");
  }
  if (text.empty())
    return pattern.bad("is empty");
  constexpr std::pair<std::string_view, SplitBehavior> kBehaviors[] = {
      {"Removed", SplitBehavior::Removed},
      {"Isolated", SplitBehavior::Isolated},
      {"MergedWithPrevious", SplitBehavior::MergedWithPrevious},
      {"MergedWithNext", SplitBehavior::MergedWithNext},
      {"Contiguous", SplitBehavior::Contiguous},
  };
  MOE_ASSIGN_OR_RETURN(std::string name, field.member("behavior").text());
  MOE_ASSIGN_OR_RETURN(bool invert, field.member("invert").flag(false));
  for (auto [behaviorName, behavior] : kBehaviors)
    if (behaviorName == name)
      return addStep(field, false, text, behavior, invert);
  return field.member("behavior")
      .unsupported("Removed, Isolated, MergedWithPrevious, MergedWithNext or "
                   "Contiguous");
}

Status TokenizerReader::readModel(const Field &field) {
  Field type = field.member("type");
  if (field.isNull())
    return field.bad("is missing");
  if (!type.isNull() && *type != "BPE")
    return type.unsupported("BPE");
  if (Field dropout = field.member("dropout");
      !dropout.isNull() && *dropout != 0.0)
    return dropout.unsupported("null");
  for (const char *name : {"continuing_subword_prefix", "end_of_word_suffix"})
    if (Field affix = field.member(name); !affix.isNull() && *affix != "")
      return affix.unsupported("null");
  MOE_ASSIGN_OR_RETURN(bool byteFallback,
                       field.member("byte_fallback").flag(false));
  if (byteFallback)
    return field.member("byte_fallback").unsupported("false");
  MOE_ASSIGN_OR_RETURN(bool ignoreMerges,
                       field.member("ignore_merges").flag(false));
  out->bpe.setIgnoreMerges(ignoreMerges);
  MOE_RETURN_IF_ERROR(readVocabulary(field.member("vocab")));
  MOE_RETURN_IF_ERROR(readMerges(field.member("merges")));
  return readUnknown(field);
}

// Vocabularies and lists of merges have 100 thousands of entries, so these two
// name an entry only in an error.
Status TokenizerReader::readVocabulary(const Field &field) {
  if (!(*field).is_object() || (*field).empty())
    return field.bad("is not an object of tokens");
  out->bytesOfToken.reserve((*field).size());
  out->bpe.reserveTokens((*field).size());
  std::vector<bool> isTaken;
  for (const auto &[token, value] : (*field).items()) {
    if (!isTokenId(value))
      return Field(value, "model.vocab['" + printableUtf8(token) + "']")
          .tokenId()
          .status();
    TokenId id = value.get<TokenId>();
    addId(id);
    isTaken.resize(out->vocabularySize);
    if (isTaken[id])
      return field.bad("has two tokens with id " + std::to_string(id));
    isTaken[id] = true;
    std::optional<std::string> bytes = bytesOfCharacters(token);
    out->bytesOfToken.emplace(id, bytes ? *std::move(bytes) : token);
    out->bpe.addToken(token, id);
  }
  return Status::ok();
}

/// The two tokens of a merge, written "a b" or ["a", "b"].
static StatusOr<std::pair<std::string_view, std::string_view>>
readMerge(const Field &merges, size_t rank) {
  const json &value = (*merges)[rank];
  if (value.is_string()) {
    std::string_view both = value.get_ref<const std::string &>();
    size_t space = both.find(' ');
    if (space == both.npos || both.find(' ', space + 1) != both.npos)
      return merges.element(rank).bad(
          "is not two tokens with a space between them");
    return std::pair(both.substr(0, space), both.substr(space + 1));
  }
  if (!value.is_array() || value.size() != 2)
    return merges.element(rank).bad("is not a pair of tokens");
  for (size_t side : {0, 1})
    if (!value[side].is_string())
      return merges.element(rank).element(side).text().status();
  return std::pair<std::string_view, std::string_view>(
      value[0].get_ref<const std::string &>(),
      value[1].get_ref<const std::string &>());
}

Status TokenizerReader::readMerges(const Field &field) {
  if (!field.isNull() && !field.isArray())
    return field.elements().status();
  out->bpe.reserveMerges((*field).size());
  std::string both;
  for (size_t rank = 0; rank < (*field).size(); ++rank) {
    MOE_ASSIGN_OR_RETURN(auto pair, readMerge(field, rank));
    both.assign(pair.first).append(pair.second);
    std::array<std::optional<TokenId>, 3> ids;
    std::array<std::string_view, 3> spellings = {pair.first, pair.second, both};
    for (size_t i = 0; i < ids.size(); ++i) {
      ids[i] = out->bpe.find(spellings[i]);
      if (!ids[i])
        return field.element(rank).bad("uses '" + printableUtf8(spellings[i]) +
                                       "', which is not in model.vocab");
    }
    out->bpe.addMerge(*ids[0], *ids[1], *ids[2], static_cast<uint32_t>(rank));
  }
  return Status::ok();
}

Status TokenizerReader::readUnknown(const Field &model) {
  Field unknown = model.member("unk_token");
  MOE_ASSIGN_OR_RETURN(bool fuse, model.member("fuse_unk").flag(false));
  if (unknown.isNull())
    return Status::ok();
  MOE_ASSIGN_OR_RETURN(std::string token, unknown.text());
  std::optional<TokenId> id = out->bpe.find(token);
  if (!id)
    return unknown.bad("is not in model.vocab");
  out->bpe.setUnknown(*id, fuse);
  return Status::ok();
}

Status TokenizerReader::readAddedTokens(const Field &field) {
  MOE_ASSIGN_OR_RETURN(std::vector<Field> entries, field.elements());
  for (const Field &entry : entries) {
    AddedToken token;
    MOE_ASSIGN_OR_RETURN(token.content, entry.member("content").text());
    MOE_ASSIGN_OR_RETURN(token.id, entry.member("id").tokenId());
    MOE_ASSIGN_OR_RETURN(token.singleWord,
                         entry.member("single_word").flag(false));
    MOE_ASSIGN_OR_RETURN(token.lstrip, entry.member("lstrip").flag(false));
    MOE_ASSIGN_OR_RETURN(token.rstrip, entry.member("rstrip").flag(false));
    MOE_ASSIGN_OR_RETURN(bool isSpecial, entry.member("special").flag(false));
    MOE_ASSIGN_OR_RETURN(bool isNormalized,
                         entry.member("normalized").flag(!isSpecial));
    if (token.content.empty())
      return entry.member("content").bad("is empty");
    std::optional<std::string> bytes = bytesOfCharacters(token.content);
    if (isSpecial)
      bytes.emplace();
    out->bytesOfToken[token.id] = bytes ? *std::move(bytes) : token.content;
    out->addedIds[token.content] = token.id;
    addId(token.id);
    if (isSpecial &&
        std::count(kEndTokenNames.begin(), kEndTokenNames.end(), token.content))
      out->endTokens.push_back(token.id);
    (isNormalized ? out->normalizedTokens : out->rawTokens)
        .add(std::move(token));
  }
  return Status::ok();
}

Status TokenizerReader::readPostProcessor(const Field &field) {
  if (field.isNull())
    return Status::ok();
  MOE_ASSIGN_OR_RETURN(std::string type, field.member("type").text());
  // ByteLevel only corrects offsets, which nobody asks for here.
  if (type == "ByteLevel")
    return Status::ok();
  if (type == "TemplateProcessing")
    return readTemplate(field);
  if (type != "Sequence")
    return field.member("type").unsupported(
        "ByteLevel, TemplateProcessing or Sequence");
  MOE_ASSIGN_OR_RETURN(std::vector<Field> parts,
                       field.member("processors").elements());
  for (const Field &part : parts)
    MOE_RETURN_IF_ERROR(readPostProcessor(part));
  return Status::ok();
}

Status TokenizerReader::readTemplate(const Field &field) {
  if (std::exchange(hasTemplate, true))
    return field.unsupported("one TemplateProcessing");
  MOE_ASSIGN_OR_RETURN(std::vector<Field> pieces,
                       field.member("single").elements());
  bool seenText = false;
  for (const Field &piece : pieces) {
    if (Field sequence = piece.member("Sequence"); !sequence.isNull()) {
      if (std::exchange(seenText, true))
        return piece.unsupported("one Sequence");
      continue;
    }
    MOE_ASSIGN_OR_RETURN(std::string name,
                         piece.member("SpecialToken").member("id").text());
    Field special = field.member("special_tokens").member(name);
    MOE_ASSIGN_OR_RETURN(std::vector<Field> ids,
                         special.member("ids").elements());
    if (ids.empty())
      return special.bad("has no ids");
    for (const Field &element : ids) {
      MOE_ASSIGN_OR_RETURN(TokenId id, element.tokenId());
      (seenText ? out->suffix : out->prefix).push_back(id);
    }
  }
  if (!seenText)
    return field.member("single").bad("has no Sequence");
  return Status::ok();
}

Status TokenizerReader::readDecoder(const Field &field) {
  if (*field.member("type") == "ByteLevel")
    return Status::ok();
  if (*field.member("type") == "Sequence") {
    MOE_ASSIGN_OR_RETURN(std::vector<Field> parts,
                         field.member("decoders").elements());
    if (parts.size() == 1)
      return readDecoder(parts.front());
  }
  return field.unsupported("ByteLevel");
}

StatusOr<Tokenizer> Tokenizer::parse(std::string_view text) {
  StatusOr<json> root = parseJson(text);
  if (!root.isOk())
    return Status(StatusCode::BadModel, root.status().message());
  return TokenizerReader().read(*root);
}

StatusOr<Tokenizer> Tokenizer::load(const std::string &path) {
  MOE_ASSIGN_OR_RETURN(std::string text, readWholeFile(path, kMaxFileBytes));
  StatusOr<Tokenizer> tokenizer = parse(text);
  if (!tokenizer.isOk())
    return tokenizer.status().at(path);
  return tokenizer;
}
