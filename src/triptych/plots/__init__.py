"""Plots: arrays → matplotlib Axes, without pyplot and without a global style.

========================  =================================================
`triptych.plots.palette`  colours that readers with any colour vision tell apart
`triptych.plots.matching`  which predicted domain looks like which known label
`triptych.plots.window`   the part of a section that is shown, and its scale bar
`triptych.plots.spatial`  labels or values on the tissue
`triptych.plots.slide`    the stained tissue
`triptych.plots.embedding`  a joint space in two dimensions
`triptych.plots.scores`   values with intervals, and the controls in grey
`triptych.plots.intervals`  arms of a study, and their differences, with intervals
`triptych.plots.dots`     genes of groups as dots
`triptych.plots.heat`     values around zero, and shares, as colours
`triptych.plots.halves`   pairs of groups: one test above the diagonal, one below
`triptych.plots.genes`    how much of each gene a space explains
`triptych.plots.lanes`    several measures of the same labels, as bars
`triptych.plots.histogram`  how many observations there are of each kind
`triptych.plots.training`  what a net has learned to draw, and its losses
`triptych.plots.abundance`  how much of each cell type lies where
`triptych.plots.overlay`  patches over a slide
`triptych.plots.patches`  small pictures side by side
`triptych.plots.coverage`  how often intervals hold
`triptych.plots.registration`  by how much outlines lay beside a picture
`triptych.plots.reliability`  whether a confidence means what it says
`triptych.plots.nuclei`   labelled tiles, and scores of nuclei by organ
`triptych.plots.cluster_map`  tables of pairs in the order of one tree
`triptych.plots.legend`   names beside colours
`triptych.plots.names`    names on axes, shortened
========================  =================================================
"""
