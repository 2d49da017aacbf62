//===- ScheduleText.cpp - Steps on their streams --------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/moe-inspect/ScheduleText.h"

#include "runtime/io/Utf8.h"
#include "tools/common/Table.h"
#include "tools/moe-inspect/PlanFacts.h"

#include <algorithm>
#include <vector>

using namespace moe;
using namespace moe::tools;

namespace {

/// The steps between which a layer works on two streams.
struct Span {
  size_t first = 0, last = 0;
  bool usesStream1 = false;
};

/// From a layer's first step to its last, or to where its last step of stream 1
/// is waited for.
std::vector<Span> spansOf(const plan::ProgramT &program) {
  std::vector<Span> spans(program.layers.size());
  std::vector<bool> isKnown(spans.size());
  std::vector<int> layerOfEvent(program.num_events, -1);
  auto extend = [&](int layer, size_t step) {
    if (layer < 0)
      return;
    if (!isKnown[layer])
      spans[layer].first = step;
    isKnown[layer] = true;
    spans[layer].last = std::max(spans[layer].last, step);
  };
  for (size_t i = 0; i < program.steps.size(); ++i) {
    const plan::StepT &step = *program.steps[i];
    extend(step.layer, i);
    for (uint32_t event : step.waits)
      extend(layerOfEvent[event], i);
    if (step.stream == 0 || step.layer < 0)
      continue;
    spans[step.layer].usesStream1 = true;
    if (step.records >= 0)
      layerOfEvent[step.records] = step.layer;
  }
  return spans;
}

std::string eventsText(const std::vector<uint32_t> &events) {
  std::string text;
  for (uint32_t event : events)
    text += (text.empty() ? "" : ", ") + std::to_string(event);
  return text;
}

std::string spanText(const plan::ProgramT &program, const Span &span) {
  Table table({">step", "stream 0", "stream 1"});
  // By event, whether it is still to come.
  std::vector<uint32_t> open;
  for (size_t i = span.first; i <= span.last; ++i) {
    const plan::StepT &step = *program.steps[i];
    std::string kernel = shortText(printableUtf8(step.kernel), 40);
    if (step.stream > 0) {
      std::string records;
      if (step.records >= 0) {
        open.push_back(step.records);
        records = ", records " + std::to_string(step.records);
      }
      table.addRow({std::to_string(i), "|", kernel + records});
      continue;
    }
    // Streams run in order: whoever waits for an event waits for those before.
    for (uint32_t event : step.waits)
      if (auto at = std::find(open.begin(), open.end(), event);
          at != open.end())
        open.erase(open.begin(), at + 1);
    std::string beside = open.empty() ? "" : "|";
    if (!step.waits.empty())
      kernel += ", waits for " + eventsText(step.waits);
    table.addRow({std::to_string(i), kernel, beside});
  }
  return table.text();
}

} // namespace

std::string tools::scheduleText(const plan::ProgramT &program) {
  if (program.num_streams < 2)
    return "";
  std::vector<Span> spans = spansOf(program);
  std::string text;
  for (size_t layer = 0; layer < spans.size(); ++layer)
    if (spans[layer].usesStream1)
      text += "\nSchedule of layer " + std::to_string(layer) + "\n" +
              spanText(program, spans[layer]);
  return text;
}

std::string tools::howText(const plan::ProgramT &program,
                           const plan::StepT &step) {
  std::string text;
  auto add = [&](const std::string &part) {
    text += (text.empty() ? "" : ", ") + part;
  };
  if (step.group != plan::Group_Rows)
    add("among " + groupName(step.group));
  if (step.stream > 0)
    add("stream " + std::to_string(step.stream));
  if (!step.waits.empty())
    add("waits for " + eventsText(step.waits));
  if (step.records >= 0)
    add("records " + std::to_string(step.records));
  if (step.guard >= 0)
    add("if " + shortText(program.exprs[step.guard], 32));
  return text;
}
