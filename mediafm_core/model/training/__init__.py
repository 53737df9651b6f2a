"""Training of the MediaFM network: past against future, or Masked Shot Modeling.

In: the fused vectors of a catalogue and the settings of a training. Out: a trained model's folder,
checkpoints to resume from, and progress events.

Modules:
    training: training of a network on a catalogue, from settings to the model's folder.
    training_data: fused vectors of a catalogue, read when they are needed.
    random_streams: random numbers of each step from the training's seed.
    batches: sequences of shots that every step reads.
    masking: masks of every step, by mask ratio.
    objective: loss of past against future and of boundaries, or of masked shots.
    past_future: loss of finding the future of a shot from its past.
    scene_targets: targets of the scene boundary loss.
    initial_network: network before the first step.
    input_statistics: all statistics that are measured before the first step.
    principal_components: leading directions of few or many vectors.
    novelty_statistics: statistics of the novelty features.
    slow_feature_statistics: metric in which shots of one scene are close.
    content_statistics: content head, fitted to the boundaries that similarity finds.
    optimisers: AdamW, or Muon and AdamW, with their learning rates.
    muon: orthogonalised updates of matrices.
    training_loop: forward, backward, update, validation, checkpoint.
    validation: split of the titles, and loss of held-out titles under fixed masks.
    past_future_validation: loss and accuracy of past against future on held-out titles.
    baselines: predictions of masked shots without a network.
    training_checkpoint: checkpoints of unfinished trainings on disk.
    warm_start: initial weights from a model or a checkpoint.
    progress_events: progress events of a training.
    loss_curve: plot of the loss curve.
    distributed: processes of a data-parallel training, started by torchrun.
    launch: launch of a data-parallel training in processes of its own.
"""
