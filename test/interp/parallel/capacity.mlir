// RUN: moe-opt %s -o /dev/null \
// RUN:   --moe-interpret="before=whole after=ranks dims=batch:7,seq:3" \
// RUN:   --moe-interpret="before=whole after=ranks ranks=4 dims=batch:2,seq:5" \
// RUN:   --moe-interpret="before=whole after=ranks ranks=3 dims=batch:9,seq:1"

// A gate with a part drops of the rows of a rank what a gate of all rows drops
// of them, by every policy, on ranks with unequal rows and with none.

!logits = tensor<?x4xf32, #moe.dims<batch * seq, 4>>
!used = tensor<?xi1, #moe.dims<batch * seq>>
!weights1 = tensor<?x1xf32, #moe.dims<batch * seq, 1>>
!choices1 = tensor<?x1xi32, #moe.dims<batch * seq, 1>>
!weights2 = tensor<?x2xf32, #moe.dims<batch * seq, 2>>
!choices2 = tensor<?x2xi32, #moe.dims<batch * seq, 2>>
!logits_local = tensor<?x4xf32, #moe.dims<batch.local * seq, 4>>
!used_local = tensor<?xi1, #moe.dims<batch.local * seq>>
!weights1_local = tensor<?x1xf32, #moe.dims<batch.local * seq, 1>>
!choices1_local = tensor<?x1xi32, #moe.dims<batch.local * seq, 1>>
!weights2_local = tensor<?x2xf32, #moe.dims<batch.local * seq, 2>>
!choices2_local = tensor<?x2xi32, #moe.dims<batch.local * seq, 2>>

module attributes {moe.mesh = #moe.mesh<dp = 1, ep = 2, tp = 1>} {

func.func @whole(%logits: !logits, %scores: !logits, %used: !used)
    -> (!weights2, !choices2,
        !weights2, !choices2,
        !weights2, !choices2,
        !weights1, !choices1,
        !weights2, !choices2) {
  %w0, %e0 = moe.gate %logits mix_scores %scores used_token %used {
      k = 2 : i64, capacity_factor = 0.5 : f32, min_capacity = 1 : i64,
      drop_policy = #moe<drop_policy choice>}
    : (!logits, !logits, !used) -> (!weights2, !choices2)
  %w1, %e1 = moe.gate %logits mix_scores %scores used_token %used {
      k = 2 : i64, capacity_factor = 0.5 : f32, min_capacity = 1 : i64,
      drop_policy = #moe<drop_policy token>}
    : (!logits, !logits, !used) -> (!weights2, !choices2)
  %w2, %e2 = moe.gate %logits mix_scores %scores used_token %used {
      k = 2 : i64, capacity_factor = 0.5 : f32, min_capacity = 1 : i64,
      drop_policy = #moe<drop_policy probs>}
    : (!logits, !logits, !used) -> (!weights2, !choices2)
  %w3, %e3 = moe.gate %logits mix_scores %scores used_token %used {
      k = 1 : i64, capacity_factor = 0.5 : f32, min_capacity = 1 : i64,
      drop_policy = #moe<drop_policy logits>}
    : (!logits, !logits, !used) -> (!weights1, !choices1)
  %w4, %e4 = moe.gate %logits mix_scores %scores used_token %used {
      k = 2 : i64, capacity_factor = 0.5 : f32, min_capacity = 1 : i64,
      drop_policy = #moe<drop_policy random>,
      random_seed = 3 : i64}
    : (!logits, !logits, !used) -> (!weights2, !choices2)
  return %w0, %e0, %w1, %e1, %w2, %e2, %w3, %e3, %w4, %e4
    : !weights2, !choices2, !weights2, !choices2, !weights2, !choices2,
      !weights1, !choices1, !weights2, !choices2
}

func.func @ranks(%logits: !logits_local, %scores: !logits_local, %used: !used_local)
    -> (!weights2_local, !choices2_local,
        !weights2_local, !choices2_local,
        !weights2_local, !choices2_local,
        !weights1_local, !choices1_local,
        !weights2_local, !choices2_local) attributes {
      moe.local_symbols = {"batch.local" = "batch"}} {
  %w0, %e0 = moe.gate %logits mix_scores %scores used_token %used {
      k = 2 : i64, capacity_factor = 0.5 : f32, min_capacity = 1 : i64,
      drop_policy = #moe<drop_policy choice>,
      part = "batch.local"}
    : (!logits_local, !logits_local, !used_local) -> (!weights2_local, !choices2_local)
  %w1, %e1 = moe.gate %logits mix_scores %scores used_token %used {
      k = 2 : i64, capacity_factor = 0.5 : f32, min_capacity = 1 : i64,
      drop_policy = #moe<drop_policy token>,
      part = "batch.local"}
    : (!logits_local, !logits_local, !used_local) -> (!weights2_local, !choices2_local)
  %w2, %e2 = moe.gate %logits mix_scores %scores used_token %used {
      k = 2 : i64, capacity_factor = 0.5 : f32, min_capacity = 1 : i64,
      drop_policy = #moe<drop_policy probs>,
      part = "batch.local"}
    : (!logits_local, !logits_local, !used_local) -> (!weights2_local, !choices2_local)
  %w3, %e3 = moe.gate %logits mix_scores %scores used_token %used {
      k = 1 : i64, capacity_factor = 0.5 : f32, min_capacity = 1 : i64,
      drop_policy = #moe<drop_policy logits>,
      part = "batch.local"}
    : (!logits_local, !logits_local, !used_local) -> (!weights1_local, !choices1_local)
  %w4, %e4 = moe.gate %logits mix_scores %scores used_token %used {
      k = 2 : i64, capacity_factor = 0.5 : f32, min_capacity = 1 : i64,
      drop_policy = #moe<drop_policy random>,
      random_seed = 3 : i64,
      part = "batch.local"}
    : (!logits_local, !logits_local, !used_local) -> (!weights2_local, !choices2_local)
  return %w0, %e0, %w1, %e1, %w2, %e2, %w3, %e3, %w4, %e4
    : !weights2_local, !choices2_local, !weights2_local, !choices2_local, !weights2_local, !choices2_local,
      !weights1_local, !choices1_local, !weights2_local, !choices2_local
}

}
